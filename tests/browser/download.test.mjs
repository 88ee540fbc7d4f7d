// Downloads that survive: progress, broken connections, closed and killed tabs, wrong bytes, changed files, two tabs, full storage.
import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { launch, profileFolder } from './lib/chromium.mjs';
import { chat, nativeLogitsHash, other } from './lib/models.mjs';
import {
  clearStorage,
  damageStored,
  load,
  loadWell,
  logitsHash,
  openPackage,
  sha256,
  startPackage,
  stored,
  storedFiles,
  unload,
  waitForBytes,
} from './lib/package.mjs';

const MODEL = '/models/chat.linnet';
const MEGABYTE = 1e6;
// What a download costs beside the file: chunks that were under way when something broke, four of them 256 KiB each at least.
const SLACK = 3 * MEGABYTE;
const TOKENS = [1, 5, 9, 300, 301, 302];
let server, browser, page, size, expected;

before(async () => {
  server = await startPackage({ isolated: true });
  size = statSync(chat()).size;
  expected = await nativeLogitsHash(chat(), TOKENS);
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.close();
});
beforeEach(async () => {
  server.file(MODEL, chat()).fault(MODEL);
  page = await openPackage(browser, server);
  await clearStorage(page);
  server.forget();
});
afterEach(async () => {
  await page.close();
});

async function assertRightModel(tab = page) {
  assert.equal(await logitsHash(tab, TOKENS), expected);
  const files = Object.values(await storedFiles(tab, MEGABYTE));
  assert.ok(
    files.some((file) => file.size === size && file.sha256 === sha256(chat())),
    `what is stored is the file, byte for byte: ${JSON.stringify(files)}`,
  );
}

describe('a download', () => {
  test('tells how far it is, asks for every byte once, and needs no server afterwards', async () => {
    server.fault(MODEL, { bytesPerSecond: 4 * MEGABYTE });
    const { progress } = await loadWell(page, MODEL);
    const download = progress.filter((event) => event.phase === 'download');
    assert.ok(download.length > 5, `${download.length} reports`);
    assert.ok(
      download.every((event, index) => index === 0 || event.loaded >= download[index - 1].loaded),
      'it never goes back',
    );
    assert.equal(download.at(-1).loaded, download.at(-1).total);
    assert.ok(Math.abs(download.at(-1).total - size) < 0.01 * size);
    const middle = download[Math.floor(download.length / 2)];
    assert.ok(middle.bytesPerSecond > 0.5 * MEGABYTE, `rate ${middle.bytesPerSecond}`);
    assert.ok(middle.secondsLeft > 0 && middle.secondsLeft < 60, `time left ${middle.secondsLeft}`);
    assert.equal(middle.resumedFrom, 0);
    assert.ok(server.bytes(MODEL) < size + 0.1 * MEGABYTE, `${server.bytes(MODEL)} bytes for a file of ${size}`);
    await assertRightModel();
    assert.deepEqual(
      (await stored(page)).map((model) => [model.url, model.complete, model.bytes]),
      [[server.url(MODEL), true, size]],
    );
    await unload(page);

    server.fault(MODEL, { status: 500 }).forget();
    const again = await loadWell(page, MODEL);
    assert.equal(server.bytes(MODEL), 0, 'nothing is fetched again');
    assert.ok(!again.progress.some((event) => event.phase === 'download' && event.loaded < event.total));
    assert.equal(await logitsHash(page, TOKENS), expected);
  });

  test('goes on after a connection that was cut, without starting anew', async () => {
    server.fault(MODEL, { dropAt: 5_000_000, times: 1 });
    await loadWell(page, MODEL);
    assert.ok(server.bytes(MODEL) < size + SLACK, `${server.bytes(MODEL)} bytes for a file of ${size}`);
    await assertRightModel();
  });

  test('gives up where the connection is always cut, and the next load goes on there', async () => {
    server.fault(MODEL, { dropAt: 7_000_000 });
    const { error } = await load(page, MODEL, { connections: 1 });
    assert.equal(error.code, 'network');
    assert.match(error.message, /^[A-Z0-9].*\.$/);
    const [entry] = await stored(page);
    assert.equal(entry.complete, false);
    assert.ok(entry.bytes > 4 * MEGABYTE, `${entry.bytes} bytes were kept`);
    server.fault(MODEL).forget();
    const { progress } = await loadWell(page, MODEL);
    assert.ok(progress[0].resumedFrom > 4 * MEGABYTE || progress.some((event) => event.resumedFrom > 4 * MEGABYTE));
    assert.ok(server.bytes(MODEL) < size - 4 * MEGABYTE, `${server.bytes(MODEL)} bytes were fetched again`);
    await assertRightModel();
  });

  test('is cancelled within 200 ms, also where the server says nothing, and is taken up', async () => {
    server.fault(MODEL, { bytesPerSecond: MEGABYTE }, { stallAt: 4_000_000 });
    const loading = load(page, MODEL, {}, 'stop');
    await waitForBytes(page, 'download', 2 * MEGABYTE);
    await page.waitForTimeout(1500);
    await page.evaluate(() => globalThis.abort('stop'));
    const { error, cancelMilliseconds } = await loading;
    assert.equal(error.name, 'AbortError');
    assert.ok(cancelMilliseconds < 200, `${cancelMilliseconds} ms`);
    server.fault(MODEL).forget();
    await loadWell(page, MODEL);
    assert.ok(server.bytes(MODEL) < size - MEGABYTE, `${server.bytes(MODEL)} bytes were fetched again`);
    await assertRightModel();
  });

  test('is taken up by a new tab when the first is closed in the middle', async () => {
    server.fault(MODEL, { bytesPerSecond: MEGABYTE });
    load(page, MODEL).catch(() => {});
    await waitForBytes(page, 'download', 6 * MEGABYTE);
    await page.close();
    server.fault(MODEL).forget();
    page = await openPackage(browser, server);
    const { progress } = await loadWell(page, MODEL);
    assert.ok(progress.some((event) => event.resumedFrom > 4 * MEGABYTE));
    assert.ok(server.bytes(MODEL) < size - 4 * MEGABYTE, `${server.bytes(MODEL)} bytes were fetched again`);
    await assertRightModel();
  });

  test('is taken up after the browser was killed', async () => {
    const profile = profileFolder();
    let second = await launch({ profile });
    try {
      server.fault(MODEL, { bytesPerSecond: MEGABYTE });
      let tab = await openPackage(second, server);
      load(tab, MODEL).catch(() => {});
      await waitForBytes(tab, 'download', 7 * MEGABYTE);
      await second.kill();
      server.fault(MODEL).forget();
      second = await launch({ profile });
      tab = await openPackage(second, server);
      await loadWell(tab, MODEL);
      assert.ok(server.bytes(MODEL) < size - 3 * MEGABYTE, `${server.bytes(MODEL)} bytes were fetched again`);
      await assertRightModel(tab);
    } finally {
      await second.close();
    }
  });
});

describe('wrong bytes', () => {
  test('a chunk that is damaged on the way is fetched again', async () => {
    server.fault(MODEL, { corruptAt: 3_333_333, times: 1 });
    await loadWell(page, MODEL);
    assert.ok(server.bytes(MODEL) > size, 'the chunk came twice');
    assert.ok(server.bytes(MODEL) < size + SLACK, `${server.bytes(MODEL)} bytes for a file of ${size}`);
    await assertRightModel();
  });

  test('a chunk that is always damaged ends the load with a sentence, and nothing broken is left', async () => {
    server.fault(MODEL, { corruptAt: 3_333_333 });
    const { error } = await load(page, MODEL);
    assert.equal(error.code, 'bad-file');
    assert.match(error.message, /^[A-Z0-9].*\.$/);
    assert.ok(!(await stored(page)).some((model) => model.complete));
    server.fault(MODEL);
    await loadWell(page, MODEL);
    await assertRightModel();
  });

  test('a chunk that is damaged in storage is found by verify, and the next load fetches that chunk alone', async () => {
    await loadWell(page, MODEL);
    await unload(page);
    await damageStored(page, 6_000_000);
    const verdict = await page.evaluate((url) => globalThis.Linnet.models.verify(url), MODEL);
    assert.equal(verdict.ok, false);
    assert.match(verdict.problem, /^[A-Z0-9].*\.$/);
    server.forget();
    await loadWell(page, MODEL);
    assert.ok(server.bytes(MODEL) > 0 && server.bytes(MODEL) < SLACK, `${server.bytes(MODEL)} bytes mended it`);
    await assertRightModel();
  });

  test('one that is damaged in storage is found and fetched by a load when nobody has verified', async () => {
    await loadWell(page, MODEL);
    await unload(page);
    await damageStored(page, 6_000_000);
    server.forget();
    await loadWell(page, MODEL);
    assert.ok(server.bytes(MODEL) > 0 && server.bytes(MODEL) < SLACK, `${server.bytes(MODEL)} bytes mended it`);
    await assertRightModel();
  });
});

describe('servers', () => {
  test('a file that changes in the middle is not mixed with the new one', async () => {
    const change = { after: 3_000_000, with: readFileSync(other()) };
    server.fault(MODEL, { change }, { dropAt: 5_000_000, times: 1 });
    const { error } = await load(page, MODEL, { connections: 1 });
    if (error) {
      assert.equal(error.code, 'changed');
      assert.match(error.message, /^[A-Z0-9].*\.$/);
      await loadWell(page, MODEL);
    }
    assert.equal(await logitsHash(page, TOKENS), await nativeLogitsHash(other(), TOKENS));
  });

  test('a file that changed between two visits is not mixed with the new one', async () => {
    server.fault(MODEL, { dropAt: 7_000_000 });
    assert.equal((await load(page, MODEL, { connections: 1 })).error.code, 'network');
    server.file(MODEL, other()).fault(MODEL);
    const { error } = await load(page, MODEL);
    if (error) {
      assert.equal(error.code, 'changed');
      await loadWell(page, MODEL);
    }
    assert.equal(await logitsHash(page, TOKENS), await nativeLogitsHash(other(), TOKENS));
  });

  test('one that knows no ranges is read from the beginning to the end', async () => {
    server.fault(MODEL, { ignoreRange: true });
    await loadWell(page, MODEL);
    assert.ok(server.bytes(MODEL) < 1.5 * size, `${server.bytes(MODEL)} bytes for a file of ${size}`);
    await assertRightModel();
  });

  test('one that knows no ranges and cuts the connection once', async () => {
    server.fault(MODEL, { ignoreRange: true }, { dropAfter: 6_000_000, times: 1 });
    const { error } = await load(page, MODEL);
    if (error) {
      assert.equal(error.code, 'network');
      assert.match(error.message, /^[A-Z0-9].*\.$/);
      await loadWell(page, MODEL);
    }
    await assertRightModel();
  });

  test('one that compresses', async () => {
    server.fault(MODEL, { gzip: true });
    await loadWell(page, MODEL);
    await assertRightModel();
  });

  test('one without validators', async () => {
    server.file(MODEL, chat(), { validators: false }).fault(MODEL, { dropAt: 5_000_000, times: 1 });
    await loadWell(page, MODEL);
    await assertRightModel();
  });

  for (const [what, prepare, code] of [
    ['no such file', () => void server.remove(MODEL), 'not-found'],
    ['a server that fails', () => server.fault(MODEL, { status: 500 }), 'network'],
    ['a web page in its place', () => server.file(MODEL, Buffer.from('<!doctype html><p>Please log in</p>')), 'bad-file'],
    ['an empty file', () => server.file(MODEL, Buffer.alloc(0)), 'bad-file'],
    ['half a model', () => server.file(MODEL, readFileSync(chat()).subarray(0, 5_000_000)), 'bad-file'],
    ['a server that is not there', () => 'http://localhost:9/chat.linnet', 'network'],
  ]) {
    test(`${what}: a sentence, and nothing is left`, async () => {
      const address = prepare();
      const { error } = await load(page, typeof address === 'string' ? address : MODEL);
      assert.equal(error.code, code, error.message);
      assert.match(error.message, /^[A-Z].*[.)]$/);
      assert.deepEqual(
        (await stored(page)).filter((model) => model.complete),
        [],
      );
      assert.deepEqual(await storedFiles(page, 1000), {});
    });
  }

  test('a model of another origin, which must let its files be read', async () => {
    const far = await startPackage({ cors: true });
    try {
      far.file('/far.linnet', chat());
      await loadWell(page, far.url('/far.linnet'));
      await assertRightModel();
      far.configure({ cors: false });
      far.file('/shut.linnet', chat());
      const { error } = await load(page, far.url('/shut.linnet'));
      assert.equal(error.code, 'network');
      assert.match(error.message, /CORS/);
    } finally {
      await far.close();
    }
  });
});

describe('two tabs', () => {
  test('fetch one model once, and both use it', async () => {
    server.fault(MODEL, { bytesPerSecond: 3 * MEGABYTE });
    const second = await openPackage(browser, server);
    try {
      const [first, later] = await Promise.all([loadWell(page, MODEL), loadWell(second, MODEL)]);
      assert.ok(server.bytes(MODEL) < size + SLACK, `${server.bytes(MODEL)} bytes for a file of ${size}`);
      const waited = [first, later].filter(({ progress }) => progress.some((event) => event.phase === 'wait'));
      assert.equal(waited.length, 1, 'one of them says that it waits');
      assert.equal(await logitsHash(second, TOKENS), expected);
      await assertRightModel();
    } finally {
      await second.close();
    }
  });

  test('when the one that fetches is closed, the other goes on', async () => {
    server.fault(MODEL, { bytesPerSecond: 0.5 * MEGABYTE });
    const second = await openPackage(browser, server);
    try {
      load(second, MODEL).catch(() => {});
      await waitForBytes(second, 'download', 5 * MEGABYTE);
      const loading = load(page, MODEL);
      await page.waitForTimeout(500);
      await second.close();
      const result = await loading;
      assert.equal(result.error, undefined);
      assert.ok(server.bytes(MODEL) < size + SLACK, `${server.bytes(MODEL)} bytes for a file of ${size}`);
      await assertRightModel();
    } finally {
      if (!second.isClosed()) await second.close();
    }
  });

  test('a model that another tab has open is not deleted under it', async () => {
    await loadWell(page, MODEL);
    const second = await openPackage(browser, server);
    try {
      const problem = await second.evaluate(
        (url) =>
          globalThis.Linnet.models.delete(url).then(
            () => null,
            (error) => globalThis.told(error),
          ),
        MODEL,
      );
      assert.equal(problem.code, 'busy');
      await assertRightModel();
      await unload(page);
      await second.evaluate((url) => globalThis.Linnet.models.delete(url), MODEL);
      assert.deepEqual(await storedFiles(second, 1000), {});
    } finally {
      await second.close();
    }
  });
});

describe('storage that is full', () => {
  test('is found before the download, in a sentence with sizes; with room again it loads', async () => {
    await browser.setQuota(page, 5_000_000);
    try {
      const { error } = await load(page, MODEL);
      assert.equal(error.code, 'storage-full');
      assert.match(error.message, /\d MB/);
      assert.ok(server.bytes(MODEL) < MEGABYTE, `${server.bytes(MODEL)} bytes were fetched for nothing`);
    } finally {
      await browser.setQuota(page);
    }
    await loadWell(page, MODEL);
    await assertRightModel();
  });

  test('in the middle of the download: what came is kept, and with room again it goes on', async () => {
    server.fault(MODEL, { bytesPerSecond: 2 * MEGABYTE });
    const loading = load(page, MODEL);
    await waitForBytes(page, 'download', 3 * MEGABYTE);
    await browser.setQuota(page, 6_000_000);
    let result;
    try {
      result = await loading;
    } finally {
      await browser.setQuota(page);
    }
    // Room that was set aside at the beginning is room that is there.
    if (result.error) {
      assert.equal(result.error.code, 'storage-full');
      assert.match(result.error.message, /\d MB/);
      server.fault(MODEL).forget();
      await loadWell(page, MODEL);
      assert.ok(server.bytes(MODEL) < size - MEGABYTE, `${server.bytes(MODEL)} bytes were fetched again`);
    }
    await assertRightModel();
  });
});
