// The store of models with several tabs, a full disk, files of the person's, and GGUF files.
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from './lib/chromium.mjs';
import { Harness } from './store/harness.mjs';
import { CHUNK, makeGguf, makeModel } from './store/model.mjs';

const MEGABYTE = 1 << 20;
const model = makeModel(12 * MEGABYTE + 12345);
const small = makeModel(2 * MEGABYTE, { name: 'Small' });
let h, server, page;

before(async () => {
  h = await Harness.start();
  ({ server, page } = h);
});
after(() => h?.stop());
beforeEach(() => h.reset(model.bytes));

test('two tabs at once: one downloads, the other waits and sees how far it is', async () => {
  server.fault('/model', { bytesPerSecond: 700_000 });
  const first = await h.begin(page, 'obtain', h.url());
  await h.reached(page, first, 'download', 1_000_000);
  const tab = await h.open();
  const second = await h.begin(tab, 'obtain', h.url());
  const seen = await h.reached(tab, second, 'wait', 2_000_000);
  assert.equal(seen.total, model.bytes.length);
  await page.waitForTimeout(1200);
  const [entry] = (await h.callIn(tab, 'list')).value;
  assert.ok(!entry.complete && entry.bytes > 1_000_000, JSON.stringify(entry));
  server.fault('/model');
  const [one, two] = await Promise.all([h.end(page, first), h.end(tab, second)]);
  assert.equal(await h.value('hash', one.value.opened), model.hash);
  assert.equal((await h.callIn(tab, 'hash', two.value.opened)).value, model.hash);
  assert.ok(server.bytes('/model') < model.bytes.length + 200_000, 'fetched once');
  // Both read at the same time; neither may take it from the other.
  assert.equal((await h.call('delete', h.url())).error.code, 'busy');
  await h.value('close', one.value.opened);
  assert.equal((await h.call('delete', h.url())).error.code, 'busy');
  await tab.close();
  await page.waitForTimeout(300);
  await h.value('delete', h.url());
  assert.deepEqual(await h.files(), []);
});

test('the tab that downloads goes away: the other one takes over', async () => {
  server.fault('/model', { bytesPerSecond: 1_500_000 });
  const tab = await h.open();
  const first = await h.begin(tab, 'obtain', h.url());
  await h.reached(tab, first, 'download', 9_000_000); // written down once a second
  const second = await h.begin(page, 'obtain', h.url());
  await h.reached(page, second, 'wait', 0);
  await tab.close();
  server.fault('/model');
  const { value, error } = await h.end(page, second);
  assert.equal(error, undefined, JSON.stringify(error));
  assert.equal(await h.value('hash', value.opened), model.hash);
  const reports = await h.value('progress', second);
  assert.ok(reports.some(({ phase, resumedFrom }) => phase === 'download' && resumedFrom > 500_000));
});

test('a wait can be cancelled', async () => {
  server.fault('/model', { bytesPerSecond: 1_500_000 });
  const tab = await h.open();
  const first = await h.begin(tab, 'obtain', h.url());
  await h.reached(tab, first, 'download', 1_000_000);
  const second = await h.begin(page, 'obtain', h.url());
  await h.reached(page, second, 'wait', 0);
  const { milliseconds, error } = await h.abort(page, second);
  assert.equal(error.name, 'AbortError');
  assert.ok(milliseconds < 200);
});

test('two tabs read at the same time where a browser only has exclusive handles', async () => {
  const tab = await h.open();
  await h.value('exclusive');
  await h.callIn(tab, 'exclusive');
  await h.obtain(model);
  await h.obtain(model, { tab });
  assert.equal((await h.call('delete', h.url())).error.code, 'busy');
  await tab.close();
});

test('damage found while another tab has the model open', async () => {
  await h.value('close', await h.obtain(model));
  await h.value('damage', model.weightsOffset);
  const tab = await h.open();
  const { value } = await h.callIn(tab, 'obtain', h.url());
  await h.value('verify', h.url());
  await h.fails('busy', /another tab has it open/);
  await h.callIn(tab, 'close', value.opened);
  await h.obtain(model);
});

test('a full disk is told before the download, with what could be deleted', async () => {
  server.file('/small', small.bytes);
  await h.value('close', await h.obtain(small, { path: '/small' }));
  await h.browser.setQuota(page, 8 * MEGABYTE);
  server.forget();
  const { message } = await h.fails('storage-full', /The model needs 13 MB more, and this browser has about [3-7].* MB left/);
  assert.match(message, /Small \(2\.2 MB\)/);
  assert.ok(server.bytes('/model') < 1 * MEGABYTE);
  assert.equal((await h.list()).length, 1);
  await h.browser.setQuota(page, 18 * MEGABYTE); // Chromium counts in powers of two
  await h.fails('storage-full', /this browser has about \d+(\.\d)? MB left/);
  assert.equal((await h.list()).length, 1, 'nothing is left of it');
  await h.value('delete', h.url('/small'));
  await h.obtain(model);
});

test('a .linnet file of the person is read in place', async () => {
  const id = await beginFile(model.bytes, 'mine.linnet');
  const { value, error } = await h.end(page, id);
  assert.equal(error, undefined, JSON.stringify(error));
  assert.equal(await h.value('hash', value.opened), model.hash);
  assert.deepEqual(await h.files(), []);
});

test('a file of the person that changes while it is open reads as nothing, with the reason', async () => {
  const folder = temporaryFolder();
  try {
    const name = join(folder, 'mine.linnet');
    writeFileSync(name, model.bytes);
    await page.evaluate(() => {
      const input = Object.assign(document.createElement('input'), { type: 'file' });
      document.body.append(input);
    });
    await page.setInputFiles('input', name);
    const id = await page.evaluate(() => store.begin('obtain', document.querySelector('input').files[0]));
    const { value, error } = await h.end(page, id);
    assert.equal(error, undefined, JSON.stringify(error));
    assert.equal(await h.value('hash', value.opened), model.hash);
    writeFileSync(name, Buffer.from('something else'));
    const { bytes, problem } = await h.value('peek', value.opened, 1_000_000);
    assert.equal(bytes, 0);
    assert.match(problem, /was changed|is gone/);
    // And before it is opened.
    const again = await page.evaluate(() => store.call('obtain', document.querySelector('input').files[0]));
    assert.equal(again.error.code, 'storage', JSON.stringify(again));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('files of the person that are no models', async () => {
  let answer = await h.end(page, await beginFile(Buffer.from('PK\x03\x04'), 'a.zip'));
  assert.deepEqual([answer.error.code, /"a.zip" is not a model. It is a ZIP/.test(answer.error.message)], ['bad-file', true]);
  answer = await h.end(page, await beginFile(model.bytes.subarray(0, 6_000_000), 'half.linnet'));
  assert.match(answer.error.message, /"half.linnet" has 6000000 bytes and should have/);
});

test('a GGUF file of the person is converted into storage, once', async () => {
  const gguf = makeGguf(model);
  const { value, error } = await h.end(page, await beginFile(gguf, 'mine.gguf'));
  assert.equal(error, undefined, JSON.stringify(error));
  assert.equal(await h.value('hash', value.opened), model.hash);
  const [entry] = await h.list();
  assert.deepEqual([entry.name, entry.complete, entry.bytes], ['A test model', true, model.bytes.length]);
  const id = await beginFile(gguf, 'mine.gguf');
  const again = await h.end(page, id);
  assert.equal(await h.value('hash', again.value.opened), model.hash);
  assert.deepEqual(await h.value('progress', id), [], 'nothing is converted again');
  assert.equal((await h.list()).length, 1);
  for (const opened of [value.opened, again.value.opened]) await h.value('close', opened);
  await h.value('delete', entry.url);
  assert.deepEqual(await h.files(), []);
});

test('a GGUF address is converted while it comes; the source is deleted afterwards', async () => {
  const gguf = makeGguf(model);
  server.file('/model', gguf);
  const id = await h.begin(page, 'obtain', h.url());
  const { value, error } = await h.end(page, id);
  assert.equal(error, undefined, JSON.stringify(error));
  assert.equal(await h.value('hash', value.opened), model.hash);
  assert.ok(!(await h.files()).some((name) => name.endsWith('source')));
  const reports = await h.value('progress', id);
  for (const phase of ['download', 'convert', 'verify'])
    assert.ok(
      reports.some((one) => one.phase === phase),
      phase,
    );
  assert.ok(server.bytes('/model') < gguf.length + 100_000);
  await h.value('close', value.opened);
  server.forget();
  await h.value('close', await h.obtain(model));
  assert.equal(server.served('/model').length, 0);
  // Damage: it is made anew.
  await h.value('damage', model.weightsOffset + CHUNK);
  assert.match((await h.value('verify', h.url())).problem, /converted anew/);
  await h.obtain(model);
});

test('a GGUF download that was stopped goes on', async () => {
  const gguf = makeGguf(model);
  server.file('/model', gguf).fault('/model', { bytesPerSecond: 1_500_000 });
  const tab = await h.open();
  const id = await h.begin(tab, 'obtain', h.url());
  await h.reached(tab, id, 'download', 8_000_000);
  await tab.close();
  const [entry] = await h.list();
  assert.ok(!entry.complete && entry.bytes > 2_000_000 && entry.totalBytes === gguf.length, JSON.stringify(entry));
  server.fault('/model').forget();
  await h.obtain(model);
  assert.ok(server.bytes('/model') < gguf.length - entry.bytes + 4 * CHUNK + 200_000);
});

test('a GGUF that changes between two visits, and one from a server without ranges', async () => {
  server.file('/model', makeGguf(small)).fault('/model', { bytesPerSecond: 300_000 });
  const id = await h.begin(page, 'obtain', h.url());
  await h.reached(page, id, 'download', 600_000);
  assert.equal((await h.abort(page, id)).error.name, 'AbortError');
  server.file('/model', makeGguf(model)).fault('/model', { ignoreRange: true });
  await h.obtain(model);
});

test('a GGUF that the converter refuses is refused within 6000 ms and leaves nothing', async () => {
  server.file('/model', makeGguf(small, { unsupported: true }));
  await h.fails('unsupported', /architecture/);
  assert.deepEqual(await h.files(), []);
  // Nor is the rest waited for.
  server.fault('/model', { ignoreRange: true }, { bytesPerSecond: 200_000 });
  const begun = performance.now();
  await h.fails('unsupported', /architecture/);
  assert.ok(performance.now() - begun < 6000);
  assert.deepEqual(await h.files(), []);
});

test('a disk that is too small for a GGUF and its result, and one that fills up during the conversion', async () => {
  server.file('/model', makeGguf(model));
  await h.browser.setQuota(page, 20 * MEGABYTE);
  await h.fails('storage-full', /The model needs/);
  assert.ok(server.bytes('/model') < 1 * MEGABYTE);
  assert.deepEqual(await h.files(), []);
  await h.browser.setQuota(page);

  // The room that the result will probably need is taken at once, so that only a result that grows larger can meet a full disk:
  // one of a file that says it is float32, and is not.
  const large = makeModel(30 * MEGABYTE);
  server.file('/model', makeGguf(large, { fileType: 0 })).fault('/model', { bytesPerSecond: 1_500_000 });
  const id = await h.begin(page, 'obtain', h.url());
  await h.reached(page, id, 'download', 1_000_000);
  await h.browser.setQuota(page, 20 * MEGABYTE);
  server.fault('/model');
  const { error } = await h.end(page, id);
  assert.equal(error?.code, 'storage-full', JSON.stringify(error));
  const [entry] = await h.list();
  assert.ok(entry.bytes > 1_000_000 && !entry.complete, 'what came is kept');
  await h.browser.setQuota(page);
  await h.obtain(large);
});

/** Obtains a File that the page makes of these bytes. */
async function beginFile(bytes, name) {
  server.file('/bytes', bytes);
  return page.evaluate(
    async ([name]) => {
      const body = await (await fetch('/bytes', { cache: 'no-store' })).arrayBuffer();
      return store.begin('obtain', new File([body], name, { lastModified: 1_700_000_000_000 }));
    },
    [name],
  );
}
