// The store of models against what servers do: files that change, damage, no ranges, compression, refusals.
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { Harness } from './store/harness.mjs';
import { CHUNK, makeGguf, makeModel, withHeader } from './store/model.mjs';

const MEGABYTE = 1 << 20;
const model = makeModel(9 * MEGABYTE + 12345);
const other = makeModel(9 * MEGABYTE + 12345);
let h, server, page;

before(async () => {
  h = await Harness.start();
  ({ server, page } = h);
});
after(() => h?.stop());
beforeEach(() => h.reset(model.bytes));

test('a chunk that comes damaged is fetched again; one that always does is named', async () => {
  server.fault('/model', { corruptAt: model.weightsOffset + 5 * CHUNK + 77, times: 1 });
  await h.value('close', await h.obtain(model));
  await h.value('delete', h.url());
  server.fault('/model', { corruptAt: model.weightsOffset + 5 * CHUNK + 77 });
  await h.fails('bad-file', /Chunk 6 of 37 .* comes damaged/);
  server.fault('/model');
  await h.obtain(model);
});

test('damaged metadata and checksums are refused, and nothing is left', async () => {
  for (const [at, sentence] of [
    [model.weightsOffset - 3, /metadata is damaged/],
    [model.checksumsOffset + 3, /checksums contradict/],
    [100, /header is damaged/],
  ]) {
    server.fault('/model', { corruptAt: at });
    await h.fails('bad-file', sentence);
    assert.deepEqual(await h.files(), []);
  }
});

/** Begins a download and stops it in the middle. */
async function part(bytes = 3_000_000) {
  server.fault('/model', { bytesPerSecond: 1_000_000 });
  const id = await h.begin(page, 'obtain', h.url());
  await h.reached(page, id, 'download', bytes);
  await h.abort(page, id);
  server.fault('/model').forget();
}

for (const validators of [true, false]) {
  test(`a file that changes between two visits (${validators ? 'with' : 'without'} ETag and date)`, async () => {
    server.file('/model', model.bytes, { validators });
    await part();
    server.file('/model', other.bytes, { validators });
    await h.obtain(other);
    assert.ok(server.bytes('/model') > other.bytes.length - 1000, 'all of it is fetched');
    assert.equal((await h.list()).length, 1);
  });
}

/** An ETag that the server names and then does not know: whoever sends it back as If-Range gets the whole file. */
function nameEtag(etag) {
  server.file('/model', model.bytes, { validators: false });
  server.configure({ headers: { ETag: etag } });
}

test('a file that was only copied (another ETag) goes on', async () => {
  nameEtag('"one"');
  await part();
  nameEtag('"another"');
  // Slow enough that answers with the whole file, which are cancelled at once, do not fill the sockets and count as sent.
  server.fault('/model', { bytesPerSecond: 4_000_000 });
  await h.obtain(model);
  assert.ok(server.bytes('/model') < model.bytes.length - 1_000_000);
});

test('a server that takes If-Range amiss', async () => {
  nameEtag('"one"');
  await h.obtain(model);
  assert.ok(server.served('/model').some((request) => request.headers['if-range'] && request.status === 200));
});

test('a file that changes during the download begins anew once', async () => {
  server.fault('/model', { change: { after: 4_000_000, with: other.bytes }, times: 1 });
  await h.obtain(other);
});

test('the same without words of the server about it: the checksums tell', async () => {
  // Larger than what is asked for at a time, so that parts of both files come.
  const [long, next] = [makeModel(24 * MEGABYTE), makeModel(24 * MEGABYTE)];
  server.file('/model', long.bytes, { validators: false });
  server.fault('/model', { bytesPerSecond: 1_500_000 });
  const id = await h.begin(page, 'obtain', h.url());
  await h.reached(page, id, 'download', 3_000_000);
  server.file('/model', next.bytes, { validators: false }).fault('/model');
  const { value, error } = await h.end(page, id);
  assert.equal(error, undefined, JSON.stringify(error));
  assert.equal(await h.value('hash', value.opened), next.hash);
});

test('a GGUF that changes during the download begins anew once; one from a server that takes If-Range amiss', async () => {
  server.file('/model', makeGguf(model));
  server.fault('/model', { change: { after: 4_000_000, with: makeGguf(other) }, times: 1 });
  await h.value('close', await h.obtain(other));
  await h.value('delete', h.url());
  server.file('/model', makeGguf(model), { validators: false }).configure({ headers: { ETag: '"one"' } });
  await h.obtain(model);
});

test('a shorter file during the download', async () => {
  const shorter = makeModel(2 * MEGABYTE);
  server.fault('/model', { change: { after: 3_000_000, with: shorter.bytes }, times: 1 });
  await h.obtain(shorter);
});

test('a server without ranges: front to back', async () => {
  server.fault('/model', { ignoreRange: true });
  await h.obtain(model);
  assert.equal(server.served('/model').length, 1);
});

test('a server without ranges that breaks says that it cannot be taken up, and leaves nothing', async () => {
  server.fault('/model', { ignoreRange: true, dropAfter: 4_000_000 });
  await h.fails('network', /cannot go on in the middle/);
  assert.deepEqual(await h.files(), []);
});

test('a server without ranges and a damaged chunk: a second pass', async () => {
  server.fault('/model', { ignoreRange: true }, { corruptAt: model.weightsOffset + 9 * CHUNK, times: 1 });
  await h.obtain(model);
  assert.equal(server.served('/model').length, 2);
  await page.reload();
  await h.value('delete', h.url());
  server.fault('/model', { ignoreRange: true }, { corruptAt: model.weightsOffset + 9 * CHUNK });
  await h.fails('bad-file', /Chunk 10 of 37 .* comes damaged/);
});

test('a server that loses its ranges in the middle', async () => {
  await part();
  server.fault('/model', { ignoreRange: true });
  await h.obtain(model);
});

test('a server that compresses', async () => {
  server.fault('/model', { ignoreRange: true, gzip: true });
  server.configure({ headers: {} });
  await h.obtain(model);
});

test('files that are no models, each with its sentence; nothing is left', async () => {
  for (const [bytes, sentence] of [
    ['<!DOCTYPE html><html>Please sign in</html>', /web page/],
    ['version https://git-lfs.github.com/spec/v1\noid sha256:…', /Git LFS pointer/],
    ['PK\x03\x04 archive', /ZIP archive/],
    ['{"error":"no"}', /JSON/],
    ['', /empty/],
    [Buffer.alloc(100_000, 7), /neither a .linnet nor a GGUF/],
  ]) {
    server.file('/model', Buffer.from(bytes));
    await h.fails('bad-file', sentence);
    assert.deepEqual(await h.files(), []);
  }
});

test('a file that is shorter or longer than it says', async () => {
  server.file('/model', model.bytes.subarray(0, 5_000_000));
  await h.fails('bad-file', /not copied whole/);
  server.file('/model', Buffer.concat([model.bytes, Buffer.from('more')]));
  await h.fails('bad-file', /should have/);
  assert.deepEqual(await h.files(), []);
});

test("a web page in the place of a file that is half there (a hotel's network) costs nothing", async () => {
  await part();
  server.file('/model', Buffer.from('<!DOCTYPE html><html>Pay here</html>'));
  await h.fails('bad-file', /web page.*before is kept/);
  server.file('/model', model.bytes).forget();
  await h.obtain(model);
  assert.ok(server.bytes('/model') < model.bytes.length - 1_500_000);
});

test('statuses', async () => {
  for (const [status, code, sentence] of [
    [404, 'not-found', /no file/],
    [410, 'not-found', /no file/],
    [403, 'network', /403.*Sign in/],
    [401, 'network', /401.*Sign in/],
    [500, 'network', /500.*later/],
    [429, 'network', /too many requests/],
    [418, 'network', /418/],
  ]) {
    server.fault('/model', { status });
    await h.fails(code, sentence);
  }
  server.fault('/model', { status: 503, times: 2 });
  await h.obtain(model);
});

test('headers that lie about sizes', async () => {
  const last = 2n ** 63n;
  for (const [fields, code] of [
    [[[16, last]], 'bad-file'], // the file's bytes
    [[[16, 2n ** 53n + 2n]], 'bad-file'],
    [[[72, last]], 'bad-file'], // where the weights begin
    [[[80, 2n ** 53n]], 'bad-file'], // bytes of the weights
    [[[80, 0n]], 'bad-file'],
    [[[88, 0n]], 'bad-file'], // where the checksums begin
    [[[88, 2n ** 40n]], 'bad-file'],
  ]) {
    server.file('/model', withHeader(model, fields));
    const { error } = await h.call('obtain', h.url());
    assert.equal(error?.code, code, `${fields}: ${JSON.stringify(error)}`);
    assert.deepEqual(await h.files(), []);
  }
});
