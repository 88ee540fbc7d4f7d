// The store of models: what a download, a cancel, a crash and damage leave behind.
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { profileFolder } from './lib/chromium.mjs';
import { Harness } from './store/harness.mjs';
import { CHUNK, makeModel } from './store/model.mjs';

const MEGABYTE = 1 << 20;
const model = makeModel(20 * MEGABYTE + 12345);
const profile = profileFolder();
let h, server, page;

before(async () => {
  h = await Harness.start({ profile });
  ({ server, page } = h);
});
after(() => h?.stop());
beforeEach(() => h.reset(model.bytes));

/** What a load that goes on fetches again at most: chunks that were on their way, and the frame. */
const again = 4 * CHUNK + 200_000;

test('downloads in verified chunks, several at a time, and is offline from then on', async () => {
  const opened = await h.obtain(model);
  assert.ok(server.bytes('/model') < model.bytes.length + 70_000, 'nothing is fetched twice');
  assert.ok(server.served('/model').length >= 5);
  const [entry] = await h.list();
  assert.deepEqual(
    [entry.url, entry.name, entry.bytes, entry.totalBytes, entry.complete],
    [h.url(), 'A test model', model.bytes.length, model.bytes.length, true],
  );
  assert.equal((await h.value('size')).usedBytes, model.bytes.length);
  assert.equal((await h.value('readShared', opened, 0))[1], 0x89, 'into memory that threads share');
  await h.value('close', opened);
  server.forget();
  server.remove('/model');
  await h.obtain(model);
  assert.equal(server.served('/model').length, 0);
  assert.deepEqual(server.violations, []);
});

test('progress only grows, and ends at the whole', async () => {
  const id = await h.begin(page, 'obtain', h.url());
  await h.end(page, id);
  const reports = await h.value('progress', id);
  assert.ok(reports.length > 0);
  reports.reduce((before, one) => {
    assert.ok(one.loaded >= before && one.total === model.bytes.length, JSON.stringify(one));
    return one.loaded;
  }, 0);
  assert.equal(reports.at(-1).loaded, model.bytes.length);
});

test('goes on where a dropped connection left it', async () => {
  server.fault('/model', { dropAfter: 700_000, times: 4 });
  await h.obtain(model);
  // The browser may throw away what a connection that is cut had sent and it had not handed on yet.
  assert.ok(server.bytes('/model') < model.bytes.length + 4 * 700_000);
});

test('a server that stays away: what came is kept, and the next load goes on', async () => {
  server.fault('/model', { dropAt: 12 * MEGABYTE });
  await h.fails('network', /What has been downloaded is kept/);
  const [entry] = await h.list();
  assert.ok(!entry.complete && entry.bytes > 8 * MEGABYTE, `${entry.bytes}`);
  server.fault('/model').forget();
  await h.obtain(model);
  assert.ok(server.bytes('/model') < model.bytes.length - entry.bytes + again);
});

test('a network that goes and comes back', async () => {
  server.fault('/model', { bytesPerSecond: 3_000_000 });
  const id = await h.begin(page, 'obtain', h.url());
  await h.reached(page, id, 'download', 3_000_000);
  await h.browser.context.setOffline(true);
  await page.waitForTimeout(2500);
  server.fault('/model');
  await h.browser.context.setOffline(false);
  const { error, value } = await h.end(page, id);
  assert.equal(error, undefined, JSON.stringify(error));
  assert.equal(await h.value('hash', value.opened), model.hash);
});

test('no network at the beginning is told within 2000 ms', async () => {
  await h.browser.context.setOffline(true);
  const begun = performance.now();
  await h.fails('offline', /not stored in this browser yet/);
  assert.ok(performance.now() - begun < 2000);
  assert.deepEqual(await h.files(), []);
});

test('a cancel is answered within 200 ms and keeps what came', async () => {
  server.fault('/model', { bytesPerSecond: 2_000_000 });
  const id = await h.begin(page, 'obtain', h.url());
  await h.reached(page, id, 'download', 3_000_000);
  const { milliseconds, error } = await h.abort(page, id);
  assert.equal(error.name, 'AbortError');
  assert.ok(milliseconds < 200, `${milliseconds} ms`);
  const [entry] = await h.list();
  assert.ok(entry.bytes >= 3_000_000 && !entry.complete);
  server.fault('/model').forget();
  await h.obtain(model);
  assert.ok(server.bytes('/model') < model.bytes.length - entry.bytes + again);
});

test('a cancel while nothing comes is answered within 200 ms too', async () => {
  server.fault('/model', { stallAfter: 100_000 });
  const id = await h.begin(page, 'obtain', h.url());
  await page.waitForTimeout(500);
  const { milliseconds, error } = await h.abort(page, id);
  assert.equal(error.name, 'AbortError');
  assert.ok(milliseconds < 200, `${milliseconds} ms`);
});

for (const end of ['a closed tab', 'a killed browser']) {
  test(`${end}: the next visit goes on`, async () => {
    server.fault('/model', { bytesPerSecond: 2_000_000 });
    const tab = await h.open();
    const id = await h.begin(tab, 'obtain', h.url());
    await h.reached(tab, id, 'download', 10_000_000);
    if (end === 'a closed tab') await tab.close();
    else {
      await h.browser.kill();
      await h.browse({ profile });
      page = h.page;
    }
    const [entry] = await h.list();
    // Written down at least once a second.
    assert.ok(entry.bytes >= 10_000_000 - 8 * 1_200_000 && !entry.complete, `${entry.bytes}`);
    server.fault('/model').forget();
    await h.obtain(model);
    assert.ok(server.bytes('/model') < model.bytes.length - entry.bytes + again);
  });
}

test('deleting: nothing is left', async () => {
  const opened = await h.obtain(model);
  assert.equal((await h.call('delete', h.url())).error.code, 'busy');
  await h.value('close', opened);
  await h.value('delete', h.url());
  assert.deepEqual(await h.files(), []);
  assert.deepEqual(await h.list(), []);
});

test('an incomplete download can be deleted; what a crash left without a record is cleared away', async () => {
  server.fault('/model', { bytesPerSecond: 2_000_000 });
  const id = await h.begin(page, 'obtain', h.url());
  await h.reached(page, id, 'download', 2_000_000);
  assert.equal((await h.call('delete', h.url())).error.code, 'busy');
  await h.abort(page, id);
  await h.value('delete', h.url());
  assert.deepEqual(await h.files(), []);
  await page.evaluate(async () => {
    const root = await navigator.storage.getDirectory();
    const linnet = await root.getDirectoryHandle('linnet', { create: true });
    const models = await linnet.getDirectoryHandle('models', { create: true });
    const folder = await models.getDirectoryHandle('0123456789abcdef', { create: true });
    await folder.getFileHandle('data', { create: true });
    await folder.getFileHandle('state-0', { create: true });
  });
  assert.deepEqual(await h.list(), []);
  assert.deepEqual(await h.files(), []);
});

test('chunks that the disk damaged are found, and just those are fetched again', async () => {
  await h.value('close', await h.obtain(model));
  assert.deepEqual(await h.value('verify', h.url()), { ok: true, problem: '' });
  await h.value('damage', model.weightsOffset + 3 * CHUNK);
  await h.value('damage', model.weightsOffset + 70 * CHUNK + 9);
  const result = await h.value('verify', h.url());
  assert.ok(!result.ok);
  assert.match(result.problem, /2 of 81 chunks .* are damaged/);
  assert.equal((await h.list())[0].complete, false);
  server.forget();
  await h.value('close', await h.obtain(model));
  assert.ok(server.bytes('/model') < 2 * CHUNK + 200_000);
  assert.equal((await h.value('verify', h.url())).ok, true);
});

test('a damaged header, table or checksum is mended as well', async () => {
  await h.value('close', await h.obtain(model));
  for (const offset of [20, 5000, model.checksumsOffset + 6]) {
    await h.value('damage', offset);
    assert.match((await h.value('verify', h.url())).problem, /description of the model is damaged/);
    server.forget();
    await h.value('close', await h.obtain(model));
    assert.ok(server.bytes('/model') < 400_000);
  }
});

test('damaged, and the server has another file by now: told, not mixed', async () => {
  await h.value('close', await h.obtain(model));
  await h.value('damage', model.weightsOffset);
  await h.value('verify', h.url());
  const other = makeModel(20 * MEGABYTE + 12345);
  server.file('/model', other.bytes);
  await h.fails('changed', /cannot be mended/);
  await h.value('delete', h.url());
  await h.obtain(other);
});
