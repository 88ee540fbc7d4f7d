// The reader alone: a worker that is asked through words of shared memory, as the module asks it. The page is the module here.
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { launch } from './lib/chromium.mjs';
import { clearStorage, openPackage, startPackage } from './lib/package.mjs';
import { STRICT_CSP } from './lib/server.mjs';

let server, browser, page;

before(async () => {
  server = await startPackage({ isolated: true, csp: STRICT_CSP });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.close();
});
beforeEach(async () => {
  await page?.close();
  page = await openPackage(browser, server);
  await clearStorage(page);
  await page.evaluate(async () => {
    const [ADDRESS, PAGE] = [1024, 65536];
    // platform/wasm/reader_channel.h
    const [SIGNAL, ENDING, ENDED, PROBLEM, FIRST, REQUEST] = [0, 1, 2, 3, 4, 8];
    const memory = new WebAssembly.Memory({ initial: 2, maximum: 64, shared: true });
    const words = new Int32Array(memory.buffer, ADDRESS, 64);
    let number = 0;

    globalThis.start = async (model, scratch = null) => {
      const worker = new Worker('linnet/worker.js', { type: 'module', name: 'linnet-reader' });
      worker.postMessage({ memory, address: ADDRESS, model, scratch });
      return new Promise((resolve) => (worker.onmessage = ({ data }) => resolve(data)));
    };
    globalThis.begin = (slot, kind, offset, bytes, address = PAGE) => {
      const at = FIRST + slot * REQUEST;
      words.set([++number, kind, (offset % 2 ** 32) | 0, Math.floor(offset / 2 ** 32), address, bytes, 77], at + 1);
      Atomics.store(words, at, 1);
      Atomics.add(words, SIGNAL, 1);
      Atomics.notify(words, SIGNAL);
    };
    globalThis.wait = async (slot) => {
      const at = FIRST + slot * REQUEST;
      await Atomics.waitAsync(words, at, 1, 5000).value;
      if (Atomics.load(words, at) !== 2) throw new Error('The reader does not answer.');
      Atomics.store(words, at, 0);
      return words[at + 7];
    };
    globalThis.ask = async (...request) => (globalThis.begin(0, ...request), globalThis.wait(0));
    globalThis.bytes = (count, address = PAGE) => [...new Uint8Array(memory.buffer, address, count)];
    globalThis.set = (values, address = PAGE) => new Uint8Array(memory.buffer, address, values.length).set(values);
    globalThis.grow = (pages) => memory.grow(pages);
    globalThis.problem = () => Atomics.load(words, PROBLEM);
    globalThis.end = async () => {
      Atomics.store(words, ENDING, 1);
      Atomics.add(words, SIGNAL, 1);
      Atomics.notify(words, SIGNAL);
      await Atomics.waitAsync(words, ENDED, 0, 5000).value;
      return Atomics.load(words, ENDED);
    };
    /** linnet/NAME in the private file system, with these bytes. */
    globalThis.store = async (name, values) => {
      const root = await navigator.storage.getDirectory();
      const folder = await root.getDirectoryHandle('linnet', { create: true });
      const writable = await (await folder.getFileHandle(name, { create: true })).createWritable();
      await writable.write(new Uint8Array(values));
      await writable.close();
      return ['linnet', name];
    };
  });
});

test('reads a stored model, two requests at a time, also into memory that has grown', async () => {
  const result = await page.evaluate(async () => {
    const path = await globalThis.store(
      'model',
      Array.from({ length: 5000 }, (_, i) => i % 251),
    );
    const started = await globalThis.start(path);
    globalThis.begin(0, 0, 0, 3);
    globalThis.begin(1, 0, 1000, 4, 65540);
    const both = [await globalThis.wait(1), await globalThis.wait(0)];
    const first = globalThis.bytes(8);
    globalThis.grow(8);
    const grown = await globalThis.ask(0, 4990, 10, 9 * 65536);
    return { started, both, first, grown, far: globalThis.bytes(10, 9 * 65536), ended: await globalThis.end() };
  });
  assert.deepEqual(result.started, { ready: true });
  assert.deepEqual(result.both, [0, 0]);
  assert.deepEqual(result.first, [0, 1, 2, 0, 247, 248, 249, 250]);
  assert.equal(result.grown, 0);
  assert.deepEqual(
    result.far,
    Array.from({ length: 10 }, (_, i) => (4990 + i) % 251),
  );
  assert.equal(result.ended, 1);
});

test('reads a file of the person, and keeps what is put aside', async () => {
  const result = await page.evaluate(async () => {
    const scratch = await globalThis.store('scratch', []);
    await globalThis.start(new File([new Uint8Array([5, 6, 7, 8])], 'mine.linnet'), scratch);
    const read = await globalThis.ask(0, 1, 3);
    const model = globalThis.bytes(3);
    globalThis.set([9, 8, 7, 6]);
    const written = await globalThis.ask(2, 8192, 4);
    globalThis.set([0, 0, 0, 0]);
    const back = await globalThis.ask(1, 8192, 4);
    return { read, model, written, back, aside: globalThis.bytes(4), ended: await globalThis.end() };
  });
  const { read, written, back, ended } = result;
  assert.deepEqual({ read, written, back, ended }, { read: 0, written: 0, back: 0, ended: 1 });
  assert.deepEqual(result.model, [6, 7, 8]);
  assert.deepEqual(result.aside, [9, 8, 7, 6]);
});

test('says what went wrong, and goes on', async () => {
  const result = await page.evaluate(async () => {
    const path = await globalThis.store('model', [1, 2, 3, 4]);
    const missing = await globalThis.start(['linnet', 'nothing']);
    await globalThis.start(path);
    const short = await globalThis.ask(0, 2, 8);
    const noScratch = await globalThis.ask(1, 0, 8);
    const problem = globalThis.problem();
    return { missing, short, noScratch, problem, good: await globalThis.ask(0, 0, 4), ended: await globalThis.end() };
  });
  assert.match(result.missing.failed, /./);
  assert.equal(result.short, 1);
  assert.equal(result.noScratch, 3);
  assert.equal(result.problem, (1 << 8) | 3);
  assert.equal(result.good, 0);
  assert.equal(result.ended, 1);
});
