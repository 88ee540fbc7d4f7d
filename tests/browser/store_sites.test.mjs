// The store of models with a server of another site: what such pages may read of an answer differs.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
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

test('redirects: another address for each part, that holds for a few requests only', async () => {
  const asked = { '/here': 0, '/there': 0 };
  const uses = []; // of each ticket
  const http = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url, 'http://localhost');
    asked[pathname]++;
    const common = { 'Access-Control-Allow-Origin': '*', 'Cross-Origin-Resource-Policy': 'cross-origin' };
    if (pathname === '/here') {
      response.writeHead(302, { ...common, Location: `/there?ticket=${uses.push(0) - 1}` }).end();
      return;
    }
    if (++uses[Number(searchParams.get('ticket'))] > 3) return response.writeHead(403, common).end();
    const [first, last] = /bytes=(\d+)-(\d+)/.exec(request.headers.range).slice(1).map(Number);
    const part = model.bytes.subarray(first, last + 1);
    response.writeHead(206, { ...common, 'Content-Length': part.length }).end(part);
  });
  await new Promise((resolve) => http.listen(0, '127.0.0.1', resolve));
  try {
    await far.close();
    await h.obtain(model, { path: `http://localhost:${http.address().port}/here` });
    assert.ok(asked['/here'] >= 2 && asked['/there'] > asked['/here'], JSON.stringify(asked));
  } finally {
    http.closeAllConnections();
    http.close();
  }
});

test('an answer without a length, in pieces, from a server without ranges', async () => {
  const http = createServer((_request, response) => {
    response.writeHead(200, { 'Access-Control-Allow-Origin': '*', 'Cross-Origin-Resource-Policy': 'cross-origin' });
    for (let at = 0; at < model.bytes.length; at += 1_000_000) response.write(model.bytes.subarray(at, at + 1_000_000));
    response.end();
  });
  await new Promise((resolve) => http.listen(0, '127.0.0.1', resolve));
  try {
    await far.close();
    await h.obtain(model, { path: `http://localhost:${http.address().port}/model` });
  } finally {
    http.closeAllConnections();
    http.close();
  }
});
