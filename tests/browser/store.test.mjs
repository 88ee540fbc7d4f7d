// The store of models against servers, disks and tabs that misbehave.
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { launch, profileFolder } from './lib/chromium.mjs';
import { root } from './lib/models.mjs';
import { startServer, STRICT_CSP } from './lib/server.mjs';
import { CHUNK, makeGguf, makeModel, sha256 } from './store/model.mjs';

const MEGABYTE = 1 << 20;
const here = join(root, 'tests/browser/store');
const esbuild = createRequire(join(root, 'wasm/package/package.json'))('esbuild');
const model = makeModel(20 * MEGABYTE + 12345);
const small = makeModel(3 * MEGABYTE, { name: 'Small' });
let server, browser, page, script;

before(async () => {
  const built = await esbuild.build({
    entryPoints: [join(here, 'worker.ts')],
    bundle: true,
    format: 'esm',
    target: 'es2022',
    write: false,
  });
  script = Buffer.from(built.outputFiles[0].contents);
  server = await startServer({ csp: STRICT_CSP, isolated: true });
  serveThePage(server);
  browser = await launch();
  page = await open();
});
after(async () => {
  await browser?.close();
  await server?.close();
});
beforeEach(async () => {
  server.file('/model', model.bytes).fault('/model').forget();
  server.configure({ cors: false, headers: {} });
  for (const one of browser.context.pages()) if (one !== page) await one.close();
  await page.goto(server.url('/blank.html'));
  await page.evaluate(async () => {
    const folder = await navigator.storage.getDirectory();
    for (let wait = 0; wait < 20; ++wait) {
      try {
        for await (const name of folder.keys()) await folder.removeEntry(name, { recursive: true });
        return;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 100)); // the last test's worker is still ending
      }
    }
  });
  await page.goto(server.url('/index.html'));
});

function serveThePage(where) {
  where
    .file('/index.html', Buffer.from('<!doctype html><title>Store</title><script type="module" src="/page.js"></script>'))
    .file('/blank.html', Buffer.from('<!doctype html><title>Blank</title>'))
    .file('/worker.js', script);
  where.folder('/', here);
}
const open = async (where = browser) => where.page(server.url('/index.html'));
const call = (op, ...args) => callIn(page, op, ...args);
const callIn = (tab, op, ...args) => tab.evaluate(([op, args]) => store.call(op, ...args), [op, args]);
const begin = (tab, op, ...args) => tab.evaluate(([op, args]) => store.begin(op, ...args), [op, args]);
const end = (tab, id) => tab.evaluate((id) => store.end(id), id);
const reached = (tab, id, phase, loaded) => tab.evaluate((args) => store.reached(...args), [id, phase, loaded]);
const url = (path = '/model') => server.url(path);

/** Obtains, and compares what was stored with what was served. */
async function obtain(tab = page, path = '/model', expected = model.hash) {
  const answer = await callIn(tab, 'obtain', path.startsWith('http') ? path : url(path));
  assert.equal(answer.error, undefined, JSON.stringify(answer.error));
  const { opened } = answer.value;
  assert.equal((await callIn(tab, 'hash', opened)).value, expected);
  return opened;
}
async function fails(code, sentence, path = '/model', tab = page) {
  const { error, value } = await callIn(tab, 'obtain', path.startsWith('http') ? path : url(path));
  assert.ok(error, `expected ${code}, got ${JSON.stringify(value)}`);
  assert.equal(error.code, code, JSON.stringify(error));
  assert.match(error.message, sentence);
  return error;
}
const stored = async () => (await call('list')).value;
const files = async () => Object.keys((await call('files')).value);

test('downloads in verified chunks, several at a time, and is offline from then on', async () => {
  const opened = await obtain();
  assert.ok(server.bytes('/model') < model.bytes.length + 70_000, 'nothing is fetched twice');
  assert.ok(server.served('/model').length >= 5);
  const [entry] = await stored();
  assert.deepEqual(
    [entry.url, entry.name, entry.bytes, entry.totalBytes, entry.complete],
    [url(), 'A test model', model.bytes.length, model.bytes.length, true],
  );
  assert.equal((await call('size')).value.usedBytes, model.bytes.length);
  assert.equal((await call('readShared', opened, 0)).value[1], 0x89);
  await call('close', opened);
  server.forget();
  await obtain();
  assert.equal(server.served('/model').length, 0);
  assert.deepEqual(server.violations, []);
});

test('goes on where a dropped connection left it', async () => {
  server.fault('/model', { dropAfter: 700_000, times: 4 });
  await obtain();
  assert.ok(server.bytes('/model') < model.bytes.length + 4 * CHUNK + 100_000);
});

test('a server that stays away: what came is kept, and the next load goes on', async () => {
  server.fault('/model', { dropAt: 12 * MEGABYTE });
  await fails('network', /What has been downloaded is kept/);
  const [entry] = await stored();
  assert.ok(!entry.complete && entry.bytes > 8 * MEGABYTE, `${entry.bytes}`);
  server.fault('/model').forget();
  await obtain();
  assert.ok(server.bytes('/model') < model.bytes.length - entry.bytes + 3 * CHUNK);
});

test('a chunk that comes damaged is fetched again; one that always does is named', async () => {
  server.fault('/model', { corruptAt: model.weightsOffset + 5 * CHUNK + 77, times: 1 });
  await obtain();
  await call('close', 0);
  await call('delete', url());
  server.fault('/model', { corruptAt: model.weightsOffset + 5 * CHUNK + 77 }).forget();
  await page.reload();
  await fails('bad-file', /Chunk 6 of 81 .* comes damaged/);
  server.fault('/model');
  await obtain();
});

test('a cancel is answered within 200 ms and keeps what came', async () => {
  server.fault('/model', { bytesPerSecond: 2_000_000 });
  const id = await begin(page, 'obtain', url());
  await reached(page, id, 'download', 3_000_000);
  const { milliseconds, error } = await page.evaluate((id) => store.abort(id), id);
  assert.equal(error.name, 'AbortError');
  assert.ok(milliseconds < 200, `${milliseconds} ms`);
  const [entry] = await stored();
  assert.ok(entry.bytes >= 3_000_000 && !entry.complete);
  server.fault('/model').forget();
  await obtain();
  assert.ok(server.bytes('/model') < model.bytes.length - entry.bytes + 3 * CHUNK);
});

test('deleting: nothing is left', async () => {
  const opened = await obtain();
  const busy = await call('delete', url());
  assert.equal(busy.error.code, 'busy');
  await call('close', opened);
  assert.equal((await call('delete', url())).error, undefined);
  assert.deepEqual(await files(), []);
  assert.deepEqual(await stored(), []);
});
