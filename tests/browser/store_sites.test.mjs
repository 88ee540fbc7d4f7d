// The store of models with a server of another site: what such pages may read of an answer differs.
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { startServer } from './lib/server.mjs';
import { Harness } from './store/harness.mjs';
import { makeGguf, makeModel } from './store/model.mjs';

const MEGABYTE = 1 << 20;
const model = makeModel(9 * MEGABYTE + 12345);
// What a connection that is cut had sent and the browser had not handed on: up to all of it.
const lost = 3 * 2_000_000;
let h, page, far;

before(async () => {
  h = await Harness.start({ csp: null });
  ({ page } = h);
});
after(() => h?.stop());
beforeEach(async () => {
  await h.reset(model.bytes);
  far = await startServer({ cors: true });
  far.file('/model', model.bytes);
  return far;
});

async function stopped(run) {
  try {
    await run();
  } finally {
    await far.close();
  }
}

test('one that shows everything', () =>
  stopped(async () => {
    far.fault('/model', { dropAfter: 2_000_000, times: 3 });
    await h.obtain(model, { path: far.url('/model') });
    assert.ok(far.bytes('/model') < model.bytes.length + lost);
  }));

test('one that shows neither size nor ETag nor the part that came', () =>
  stopped(async () => {
    far.configure({ headers: { 'Access-Control-Expose-Headers': 'X-Nothing' } });
    far.fault('/model', { dropAfter: 2_000_000, times: 3 });
    await h.obtain(model, { path: far.url('/model') });
    assert.ok(far.bytes('/model') < model.bytes.length + lost);
  }));

test('one that allows no header beyond the usual', () =>
  stopped(async () => {
    far.configure({ headers: { 'Access-Control-Allow-Headers': 'X-Nothing', 'Access-Control-Expose-Headers': 'X-Nothing' } });
    far.fault('/model', { bytesPerSecond: 1_000_000 });
    const id = await h.begin(page, 'obtain', far.url('/model'));
    await h.reached(page, id, 'download', 3_000_000);
    await h.abort(page, id);
    far.fault('/model').forget();
    await h.obtain(model, { path: far.url('/model') });
    assert.ok(far.bytes('/model') < model.bytes.length - 1_500_000);
  }));

test('a GGUF file of one that shows no size', () =>
  stopped(async () => {
    far.configure({ headers: { 'Access-Control-Expose-Headers': 'X-Nothing' } });
    far.file('/model', makeGguf(model));
    await h.obtain(model, { path: far.url('/model') });
  }));

test('one that lets nobody read, and one that is down', () =>
  stopped(async () => {
    far.configure({ cors: false });
    await h.fails('network', /may not let pages of other sites read/, { path: far.url('/model') });
    const address = far.url('/model');
    await far.close();
    await h.fails('network', /cannot be reached/, { path: address });
    assert.deepEqual(await h.files(), []);
  }));

test('an address that is none for a model', async () => {
  await far.close();
  await h.fails('bad-argument', /not with ftp:/, { path: 'ftp://localhost/model' });
});
