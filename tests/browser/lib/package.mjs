// The package as a plain page uses it: a server with pages/package.html and the built package beside it, and tabs with it open.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createHash } from 'node:crypto';
import { startServer } from './server.mjs';
import { root } from './models.mjs';

const dist = join(root, 'wasm/package/dist');

/** A server with the package in it, at `base`, which ends with a slash. Options as startServer's. */
export async function startPackage({ base = '/', ...options } = {}) {
  if (!existsSync(join(dist, 'index.js'))) throw new Error('The package is not built. Please run: tools/test.sh browser');
  const server = await startServer(options);
  server.folder(`${base}linnet/`, dist).folder(base, join(root, 'tests/browser/pages'));
  server.base = base;
  return server;
}

/** A tab with the package's page, in which load(), models and Linnet are there for evaluate(). */
export async function openPackage(browser, server) {
  const page = await browser.page(server.url(`${server.base}package.html`));
  await page.waitForFunction(() => globalThis.ready);
  return page;
}

/** Loads in the page: { id, info, plan, progress } or { error, progress }. A `signal` is a name for abort(). */
export const load = (page, source, options = {}, signal = undefined) =>
  page.evaluate(([source, options, signal]) => globalThis.load(source, options, signal), [source, options, signal]);

/** Loads, and fails the test where that fails. */
export async function loadWell(page, source, options = {}) {
  const result = await load(page, source, options);
  if (result.error) throw new Error(`load failed: ${result.error.code}: ${result.error.message}\n${result.error.stack}`);
  return result;
}

/** The SHA-256 of the logits of these tokens, computed in the tab by the model that was loaded last. */
export const logitsHash = (page, tokens) => page.evaluate((tokens) => globalThis.model.logitsHash(tokens), tokens);

export const unload = (page) => page.evaluate(() => globalThis.model.unload());

export const stored = (page) => page.evaluate(() => globalThis.Linnet.models.list());

/** Forgets all that the origin has stored. */
export async function clearStorage(page) {
  await page.evaluate(async () => {
    for (const { url } of await globalThis.Linnet.models.list()) await globalThis.Linnet.models.delete(url);
    const folder = await navigator.storage.getDirectory();
    for await (const name of folder.keys()) {
      await folder.removeEntry(name, { recursive: true }).catch(() => {});
    }
  });
}

export const sha256 = (file) => createHash('sha256').update(readFileSync(file)).digest('hex');

/** Size and SHA-256 of every file of at least `least` bytes that the origin has in its private file system, by path. */
export const storedFiles = (page, least = 0) =>
  page.evaluate(async (least) => {
    const found = {};
    const walk = async (folder, path) => {
      for await (const [name, handle] of folder) {
        if (handle.kind === 'directory') await walk(handle, `${path}${name}/`);
        else {
          const file = await handle.getFile();
          if (file.size < least) continue;
          const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', await file.arrayBuffer()));
          found[path + name] = {
            size: file.size,
            sha256: [...hash].map((byte) => byte.toString(16).padStart(2, '0')).join(''),
          };
        }
      }
    };
    await walk(await navigator.storage.getDirectory(), '');
    return found;
  }, least);

/** Turns one byte of the largest stored file, as a failing disk would. */
export const damageStored = (page, offset) =>
  page.evaluate(async (offset) => {
    let largest = null;
    const walk = async (folder) => {
      for await (const handle of folder.values()) {
        if (handle.kind === 'directory') await walk(handle);
        else {
          const { size } = await handle.getFile();
          if (!largest || size > largest.size) largest = { handle, size };
        }
      }
    };
    await walk(await navigator.storage.getDirectory());
    const bytes = new Uint8Array(await (await largest.handle.getFile()).slice(offset, offset + 1).arrayBuffer());
    const writable = await largest.handle.createWritable({ keepExistingData: true });
    await writable.write({ type: 'write', position: offset, data: new Uint8Array([bytes[0] ^ 0x10]) });
    await writable.close();
  }, offset);

/** Waits until the tab's load has come so far. */
export const waitForBytes = (page, phase, bytes) =>
  page.waitForFunction(
    ([phase, bytes]) => globalThis.lastProgress?.phase === phase && globalThis.lastProgress.loaded >= bytes,
    [phase, bytes],
    { polling: 20 },
  );
