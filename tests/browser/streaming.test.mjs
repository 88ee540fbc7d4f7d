// Models larger than the memory that they may take: the plan beforehand, the same bits under every ceiling, memory that stays within
// the plan, and storage that fails under a running answer.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { launch, profileFolder } from './lib/chromium.mjs';
import { chat, chatGguf, nativeLogitsHash } from './lib/models.mjs';
import { clearStorage, loadWell, logitsHash, openPackage, startPackage, storedFiles, unload } from './lib/package.mjs';

const TOKENS = Array.from({ length: 40 }, (_, index) => (index * 97 + 3) % 500);
// What the module begins with, however low the ceiling.
const INITIAL = 4 * 1024 * 1024;
const profile = profileFolder();
let server, browser, page;

before(async () => {
  server = await startPackage({ isolated: true });
  server.file('/chat.linnet', chat()).file('/chat.gguf', chatGguf());
  browser = await launch({ profile });
});
after(async () => {
  await browser?.close();
  await server?.close();
});
beforeEach(async () => {
  await page?.close();
  page = await openPackage(browser, server);
});

/** The plan, or the error that it is refused with. */
const plan = (source, options = {}) =>
  page.evaluate(
    async ([source, options]) => {
      const from = source === 'FILE' ? document.querySelector('input').files[0] : source;
      try {
        return { plan: await globalThis.Linnet.plan(from, options) };
      } catch (error) {
        return { error: globalThis.told(error) };
      }
    },
    [source, options],
  );
const memory = () => page.evaluate(() => globalThis.model.memory());

/** The lowest ceiling that is taken, as the refusal of a lower one names it. */
async function smallest(options) {
  const { error } = await plan('/chat.linnet', { ...options, memory: 1000 });
  assert.equal(error?.code, 'does-not-fit');
  const bytes = Math.max(...error.message.match(/\d{4,}/g).map(Number));
  assert.ok((await plan('/chat.linnet', { ...options, memory: bytes })).plan, `${bytes} is taken`);
  assert.equal((await plan('/chat.linnet', { ...options, memory: bytes - 1000 })).error?.code, 'does-not-fit');
  return bytes;
}

describe('the plan', () => {
  const OPTIONS = { context: 256, threads: 2, kv: 'f16' };

  test('of an address is what the load takes, before the model is there and after', async () => {
    await clearStorage(page);
    const before = server.bytes('/chat.linnet');
    const asked = await plan('/chat.linnet', OPTIONS);
    const fetched = server.bytes('/chat.linnet') - before;
    assert.ok(fetched < statSync(chat()).size / 2, `${fetched} bytes were fetched`);
    server.fault('/chat.linnet', { ignoreRange: true, bytesPerSecond: 20e6 });
    assert.deepEqual((await plan('/chat.linnet', OPTIONS)).plan, asked.plan, 'from a server that only sends whole files');
    server.fault('/chat.linnet');
    assert.deepEqual(await storedFiles(page), {});
    const loaded = await loadWell(page, '/chat.linnet', OPTIONS);
    assert.deepEqual(asked.plan, loaded.plan);
    assert.equal(loaded.plan.context, 256);
    assert.equal(loaded.plan.spilledBytes, 0);
    server.fault('/chat.linnet', { status: 500 });
    assert.deepEqual((await plan('/chat.linnet', OPTIONS)).plan, loaded.plan);
    server.fault('/chat.linnet');
    await unload(page);
  });

  test('of a file of the person; of what is none, and of what has none yet', async () => {
    await page.setInputFiles('input', chat());
    const { plan: ofFile } = await plan('FILE', OPTIONS);
    assert.deepEqual(ofFile, (await plan('/chat.linnet', OPTIONS)).plan);
    await page.setInputFiles('input', { name: 'x.linnet', mimeType: '', buffer: Buffer.from('hello') });
    assert.equal((await plan('FILE')).error.code, 'bad-file');
    assert.equal((await plan('/chat.gguf')).error.code, 'unsupported');
    assert.equal((await plan('/nothing.linnet')).error.code, 'not-found');
    assert.equal((await plan('/chat.linnet', { memoryy: 3 })).error.code, 'bad-argument');
  });
});

describe('the same bits under every ceiling', () => {
  for (const threads of [1, 2]) {
    test(`${threads} thread(s)`, async (t) => {
      const options = { context: 512, threads };
      const least = await smallest(options);
      const program = (await plan('/chat.linnet', { ...options, memory: least })).plan.programBytes;
      const most = (await plan('/chat.linnet', options)).plan.totalBytes + program;
      const expected = await nativeLogitsHash(chat(), TOKENS);
      for (const ceiling of [least, Math.round((least + most) / 2), most]) {
        const { plan: taken } = await loadWell(page, '/chat.linnet', { ...options, memory: ceiling });
        assert.equal(await logitsHash(page, TOKENS), expected, `under ${ceiling} bytes`);
        const use = await memory();
        t.diagnostic(
          `ceiling ${ceiling}: plan ${taken.totalBytes}, WebAssembly ${use.wasmBytes}, ` +
            `${(use.bytesStreamed / use.passes / 1e6).toFixed(1)} MB a pass`,
        );
        assert.ok(taken.totalBytes + taken.programBytes <= ceiling);
        assert.ok(use.wasmBytes <= Math.max(ceiling, INITIAL), `WebAssembly ${use.wasmBytes}, ceiling ${ceiling}`);
        assert.equal(taken.streamedBytesPerPass > 0, ceiling < most);
        assert.equal(use.bytesStreamed > 0, taken.streamedBytesPerPassAtStart > 0);
        if (ceiling === least) assert.ok(use.bytesStreamed > 0);
        await unload(page);
      }
    });
  }

  test('with keys and values put aside, in a file that goes with the model', async (t) => {
    for (const threads of [1, 2]) {
      const options = { context: 2048, kv: 'f32', threads };
      const least = await smallest(options);
      const { plan: taken } = await loadWell(page, '/chat.linnet', { ...options, memory: least });
      assert.ok(taken.spilledBytes > 0);
      const tokens = Array.from({ length: 160 }, (_, index) => (index * 31 + 7) % 500);
      assert.equal(await logitsHash(page, tokens), await nativeLogitsHash(chat(), tokens, '--kv', 'f32'));
      const use = await memory();
      t.diagnostic(`${threads} thread(s): ${use.scratchBytesWritten} bytes put aside, ${use.scratchBytesRead} read back`);
      assert.ok(use.scratchBytesWritten > 0 && use.scratchBytesRead > 0);
      assert.ok(use.wasmBytes <= Math.max(least, INITIAL), `WebAssembly ${use.wasmBytes}, ceiling ${least}`);
      const aside = async () => Object.keys(await storedFiles(page)).filter((name) => name.startsWith('linnet/scratch/'));
      assert.equal((await aside()).length, 1);
      await unload(page);
      assert.deepEqual(await aside(), []);
    }
  });
});

describe('storage that fails under an answer', () => {
  /** The stored model as the browser keeps it on the disk. */
  function storedOnDisk() {
    const { size } = statSync(chat());
    const found = readdirSync(profile, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .filter((file) => statSync(file).size === size);
    assert.equal(found.length, 1, 'the stored model is found in the profile');
    return found[0];
  }

  const say = () =>
    page.evaluate(async () => {
      globalThis.session ??= await globalThis.model.session({ sampling: { temperature: 0 } });
      try {
        return { reply: await globalThis.session.prompt('What is the capital of France?', { maxTokens: 12 }) };
      } catch (error) {
        return { error: globalThis.told(error) };
      }
    });

  for (const threads of [1, 2]) {
    test(`${threads} thread(s): the answer ends with an error, and the conversation goes on when the storage is well`, async () => {
      const options = { context: 512, threads };
      await loadWell(page, '/chat.linnet', options);
      const expected = (await say()).reply.text;
      await unload(page);
      await page.evaluate(() => (globalThis.session = undefined));
      await loadWell(page, '/chat.linnet', { ...options, memory: await smallest(options) });
      const file = storedOnDisk();
      const whole = readFileSync(file);

      const damaged = Buffer.from(whole);
      for (let at = Math.floor(whole.length / 3); at < whole.length - 100_000; at += 97) damaged[at] ^= 0x10;
      writeFileSync(file, damaged, { flag: 'r+' });
      const bad = await say();
      writeFileSync(file, whole, { flag: 'r+' });
      assert.ok(['bad-file', 'storage'].includes(bad.error?.code), JSON.stringify(bad));
      assert.match(bad.error.message, /^[A-Z].*[.)]$/s);

      truncateSync(file, Math.floor(whole.length / 3));
      const short = await say();
      writeFileSync(file, whole, { flag: 'r+' });
      assert.equal(short.error?.code, 'storage', JSON.stringify(short));

      const { reply, error } = await say();
      assert.equal(error, undefined);
      assert.equal(reply.text, expected);
      assert.ok(reply.timings.bytesStreamed > 0);
      await unload(page);
    });
  }
});
