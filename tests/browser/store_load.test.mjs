// The store behind the package: real checksums, the real converter, and models that are opened from storage.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { launch } from './lib/chromium.mjs';
import { chat, chatGguf, root } from './lib/models.mjs';
import { STRICT_CSP, startServer } from './lib/server.mjs';

const SCRIPT = `
import { Linnet } from './package/index.js';
globalThis.Linnet = Linnet;
/** The logits' hash of the model of an address or file, and what its load went through. */
globalThis.hashOf = async (source) => {
  const phases = new Set();
  const model = await Linnet.load(source, { context: 128, onProgress: (progress) => phases.add(progress.phase) });
  const hash = await model.logitsHash([5, 6, 7, 8]);
  await model.unload();
  return { hash, phases: [...phases] };
};
`;
const bytes = readFileSync(chat());
const gguf = readFileSync(chatGguf());
let server, browser, page;

before(async () => {
  server = await startServer({ csp: STRICT_CSP });
  server
    .folder('/package/', join(root, 'wasm/package/dist'))
    .file('/index.html', Buffer.from('<!doctype html><title>Test</title><script type="module" src="page.js"></script>'))
    .file('/page.js', Buffer.from(SCRIPT))
    .file('/chat.gguf', gguf);
  browser = await launch();
  page = await browser.page(server.url('/index.html'));
  await page.waitForFunction(() => globalThis.hashOf);
});
after(async () => {
  await browser?.close();
  await server?.close();
});
beforeEach(async () => {
  server.file('/chat.linnet', bytes).forget();
  await page.evaluate(async () => {
    for (const { url } of await Linnet.models.list()) await Linnet.models.delete(url);
  });
});

const hashOf = (path) => page.evaluate((path) => hashOf(path), path);
const stored = () => page.evaluate(() => Linnet.models.list());
/** Another byte in the data of every stored model. */
const damage = (at) =>
  page.evaluate(async (at) => {
    const linnet = await (await navigator.storage.getDirectory()).getDirectoryHandle('linnet');
    const models = await linnet.getDirectoryHandle('models');
    for await (const folder of models.values()) {
      const file = await folder.getFileHandle('data');
      const whole = new Uint8Array(await (await file.getFile()).arrayBuffer());
      whole[at] ^= 0x55;
      const writable = await file.createWritable();
      await writable.write(whole);
      await writable.close();
    }
  }, at);

test('damage on the disk is mended by the next load, by itself', async () => {
  const { hash } = await hashOf('/chat.linnet');
  await damage(bytes.length - 300_000);
  server.forget();
  assert.equal((await hashOf('/chat.linnet')).hash, hash);
  const fetched = server.bytes('/chat.linnet');
  assert.ok(fetched > 0 && fetched < 500_000, `${fetched} bytes were fetched`);
  server.remove('/chat.linnet');
  assert.equal((await hashOf('/chat.linnet')).hash, hash);
});

test('damage that cannot be mended, since the server is gone, is told', async () => {
  await hashOf('/chat.linnet');
  await damage(bytes.length - 300_000);
  server.remove('/chat.linnet');
  const error = await page.evaluate(() => hashOf('/chat.linnet').catch(({ code, message }) => ({ code, message })));
  assert.equal(error.code, 'not-found', JSON.stringify(error));
});

test('a GGUF address and a GGUF file become the bytes that the native command writes', async () => {
  const { hash } = await hashOf('/chat.linnet');
  const { hash: converted, phases } = await hashOf('/chat.gguf');
  assert.equal(converted, hash);
  assert.ok(phases.includes('download') && phases.includes('open'), phases.join());
  const fromFile = await page.evaluate(async () => {
    const body = await (await fetch('/chat.gguf')).blob();
    return hashOf(new File([body], 'mine.gguf', { lastModified: 1_700_000_000_000 }));
  });
  assert.equal(fromFile.hash, hash);
  const files = await page.evaluate(async () => {
    const linnet = await (await navigator.storage.getDirectory()).getDirectoryHandle('linnet');
    const models = await linnet.getDirectoryHandle('models');
    const hashes = [];
    for await (const folder of models.values()) {
      const data = await (await (await folder.getFileHandle('data')).getFile()).arrayBuffer();
      hashes.push([...new Uint8Array(await crypto.subtle.digest('SHA-256', data))].join());
    }
    return hashes;
  });
  assert.equal(files.length, 3);
  assert.equal(new Set(files).size, 1, 'the same bytes three times');
});

test('a model that was made of a file is listed, loaded again by its address, verified and deleted', async () => {
  await page.evaluate(async () => {
    const body = await (await fetch('/chat.gguf')).blob();
    await hashOf(new File([body], 'mine.gguf', { lastModified: 1_700_000_000_000 }));
  });
  const [entry] = await stored();
  assert.ok(entry.complete && entry.url.startsWith('file:///mine.gguf?'), JSON.stringify(entry));
  assert.equal((await hashOf(entry.url)).hash, (await hashOf('/chat.linnet')).hash);
  assert.deepEqual(await page.evaluate((url) => Linnet.models.verify(url), entry.url), { ok: true, problem: '' });
  await page.evaluate((url) => Linnet.models.delete(url), entry.url);
  assert.equal((await stored()).length, 1);
});

test('a cancel in the middle of a conversion is answered within 200 ms', async () => {
  const { milliseconds, name } = await page.evaluate(async () => {
    const control = new AbortController();
    let begun = 0;
    const onProgress = ({ phase, loaded }) => {
      if (begun === 0 && (phase === 'convert' || loaded > 2_000_000)) {
        begun = performance.now();
        control.abort();
      }
    };
    try {
      await Linnet.load('/chat.gguf', { onProgress, signal: control.signal });
      return { name: 'loaded' };
    } catch (error) {
      return { milliseconds: performance.now() - begun, name: error.name };
    }
  });
  assert.equal(name, 'AbortError');
  assert.ok(milliseconds < 200, `${milliseconds} ms`);
  assert.equal((await hashOf('/chat.gguf')).hash, (await hashOf('/chat.linnet')).hash);
});
