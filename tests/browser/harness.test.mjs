// The tests' own tools: what the server's faults do to a browser, so that the other tests can lean on them.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, beforeEach, test } from 'node:test';
import { launch, profileFolder } from './lib/chromium.mjs';
import { startServer, STRICT_CSP } from './lib/server.mjs';

const MEGABYTE = 1 << 20;
const bytes = randomBytes(3 * MEGABYTE);
let server, browser, page;

before(async () => {
  server = await startServer();
  server
    .file('/', Buffer.from('<!doctype html><title>Test</title>'))
    .file('/index.html', Buffer.from('<!doctype html><title>Test</title>'));
  browser = await launch();
  page = await browser.page(server.url('/index.html'));
});
after(async () => {
  await browser?.close();
  await server?.close();
});
beforeEach(() => {
  server.file('/data', bytes).fault('/data').forget();
});

/** What a page gets: status, length, a hash, or the error. */
const get = (range) =>
  page.evaluate(async (range) => {
    try {
      const response = await fetch('/data', { cache: 'no-store', headers: range ? { Range: range } : {} });
      const body = await response.arrayBuffer();
      const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', body));
      return { status: response.status, size: body.byteLength, hash: [...hash].join(), etag: response.headers.get('ETag') };
    } catch (error) {
      return { error: String(error) };
    }
  }, range);

test('a file and its ranges', async () => {
  const whole = await get();
  assert.equal(whole.status, 200);
  assert.equal(whole.size, bytes.length);
  assert.match(whole.etag, /^"\w+"$/);
  const part = await get('bytes=100-199');
  assert.deepEqual([part.status, part.size], [206, 100]);
  const end = await get('bytes=3145628-');
  assert.deepEqual([end.status, end.size], [206, 100]);
  assert.equal((await get('bytes=9999999-')).status, 416);
  assert.equal(server.bytes('/data'), bytes.length + 200);
});

test('a connection that is cut, once', async () => {
  server.fault('/data', { dropAfter: MEGABYTE, times: 1 });
  assert.match((await get()).error, /TypeError/);
  assert.equal(server.bytes('/data'), MEGABYTE);
  assert.equal((await get()).size, bytes.length);
});

test('one that is cut at a byte of the file, every time', async () => {
  server.fault('/data', { dropAt: 2 * MEGABYTE });
  assert.ok((await get()).error);
  assert.ok((await get('bytes=1048576-')).error);
  assert.equal((await get('bytes=2097153-')).status, 206);
});

test('a byte that is wrong, once', async () => {
  const good = await get();
  server.fault('/data', { corruptAt: 5, times: 1 });
  assert.equal((await get('bytes=6-10')).size, 5);
  assert.notEqual((await get()).hash, good.hash);
  assert.equal((await get()).hash, good.hash);
});

test('ranges ignored, compression, statuses', async () => {
  server.fault('/data', { ignoreRange: true, times: 1 }, { gzip: true, times: 1 }, { status: 500, times: 1 });
  assert.equal((await get('bytes=0-9')).status, 500);
  const whole = await get('bytes=0-9');
  assert.deepEqual([whole.status, whole.size], [200, bytes.length]);
  assert.equal((await get('bytes=0-9')).status, 206);
  server.file('/data', Buffer.alloc(MEGABYTE));
  assert.equal((await get()).size, MEGABYTE);
  assert.ok(server.served('/data').at(-1).bytes < 10_000);
});

test('a file that changes, and If-Range', async () => {
  const { etag } = await get();
  server.fault('/data', { change: { after: 4 * MEGABYTE, with: randomBytes(MEGABYTE) } });
  const again = (condition) =>
    page.evaluate(
      async (condition) =>
        (await fetch('/data', { cache: 'no-store', headers: { Range: 'bytes=5-9', 'If-Range': condition } })).status,
      condition,
    );
  assert.equal(await again(etag), 206);
  await get();
  assert.equal(await again(etag), 200);
});

test('a stall, and a rate', async () => {
  server.fault('/data', { stallAfter: 1000 });
  const stalled = await page.evaluate(async () => {
    const response = await fetch('/data', { cache: 'no-store', signal: AbortSignal.timeout(1000) });
    const reader = response.body.getReader();
    let size = 0;
    try {
      for (let part; !(part = await reader.read()).done;) size += part.value.length;
    } catch {
      return size;
    }
  });
  assert.equal(stalled, 1000);
  server.fault('/data', { bytesPerSecond: MEGABYTE });
  const begun = performance.now();
  await get('bytes=0-524287');
  const milliseconds = performance.now() - begun;
  assert.ok(milliseconds > 400 && milliseconds < 2000, `half a megabyte at 1 MB/s took ${milliseconds} ms`);
});

test('isolation and a policy', async () => {
  assert.equal(await page.evaluate(() => crossOriginIsolated), false);
  server.configure({ isolated: true, csp: STRICT_CSP });
  try {
    await page.reload();
    assert.equal(await page.evaluate(() => crossOriginIsolated), true);
    await page.evaluate(() => {
      const script = document.createElement('script');
      script.textContent = 'globalThis.forbidden = true';
      document.head.append(script);
    });
    assert.equal(await page.evaluate(() => globalThis.forbidden), undefined);
    await page.waitForTimeout(200);
    assert.equal(server.violations.length, 1);
  } finally {
    server.configure({ isolated: false, csp: undefined });
    await page.reload();
  }
});

test('a profile outlives a browser that is killed; the server comes back at its address', async () => {
  const profile = profileFolder();
  let other = await launch({ profile });
  let tab = await other.page(server.url('/index.html'));
  await tab.evaluate(async () => {
    const folder = await navigator.storage.getDirectory();
    const writable = await (await folder.getFileHandle('kept', { create: true })).createWritable();
    await writable.write('still here');
    await writable.close();
  });
  assert.ok(other.rendererBytes() > 5 * MEGABYTE);
  await tab.waitForTimeout(500);
  await other.kill();
  await server.close();
  other = await launch({ profile });
  try {
    tab = await other.page();
    await assert.rejects(tab.goto(server.url('/index.html')));
    await server.open();
    tab = await other.page();
    await tab.goto(server.url('/index.html'));
    const kept = await tab.evaluate(async () => {
      const folder = await navigator.storage.getDirectory();
      return await (await (await folder.getFileHandle('kept')).getFile()).text();
    });
    assert.equal(kept, 'still here');
  } finally {
    await other.close();
  }
});
