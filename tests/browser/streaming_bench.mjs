// How fast a model is under ceilings lower than it needs, against what the browser's storage can read, and what memory it takes:
// node tests/browser/streaming_bench.mjs MODEL.linnet [CEILING...] [--tokens=N] [--context=N] [--threads=N]. Ceilings as the package
// takes them ('500MB'); default: the lowest, half, all. Not part of the tests: it wants a large model and a quiet machine.
import { statSync } from 'node:fs';
import { launchPlain } from './lib/plain_chromium.mjs';
import { startPackage } from './lib/package.mjs';

const options = Object.fromEntries(
  process.argv
    .slice(2)
    .filter((one) => one.startsWith('--'))
    .map((one) => one.slice(2).split('=')),
);
const [model, ...given] = process.argv.slice(2).filter((one) => !one.startsWith('--'));
const tokens = Number(options.tokens ?? 12);
const load = { context: Number(options.context ?? 512), threads: Number(options.threads ?? 2) };
const megabytes = (bytes) => `${(bytes / 1e6).toFixed(0)} MB`;

/** Bytes a second that a worker reads of the largest stored file, in parts of a megabyte, best of three passes of a second. */
async function measureStorage() {
  const source = `
    onmessage = async () => {
      let largest = null;
      const walk = async (folder) => {
        for await (const handle of folder.values()) {
          if (handle.kind === 'directory') await walk(handle);
          else {
            const { size } = await handle.getFile();
            if (!largest || size > largest.size) largest = { handle, size };
          }
        }
      };
      await walk(await navigator.storage.getDirectory());
      const access = await largest.handle.createSyncAccessHandle({ mode: 'read-only' });
      const part = new Uint8Array(new SharedArrayBuffer(1 << 20));
      let [at, best] = [0, 0];
      for (let pass = 0; pass < 3; ++pass) {
        const start = performance.now();
        let read = 0;
        while (performance.now() - start < 1000) {
          if (at + part.length > largest.size) at = 0;
          read += access.read(part, { at });
          at += part.length;
        }
        best = Math.max(best, (1000 * read) / (performance.now() - start));
      }
      access.close();
      postMessage(best);
    };`;
  const worker = new Worker(URL.createObjectURL(new Blob([source], { type: 'text/javascript' })));
  worker.postMessage(null);
  const rate = await new Promise((done, failed) => {
    worker.onmessage = ({ data }) => done(data);
    worker.onerror = (event) => failed(new Error(event.message));
  });
  worker.terminate();
  return rate;
}

async function run([options, count]) {
  const { error, plan } = await globalThis.load('/model.linnet', options);
  if (error) throw new Error(error.message);
  const model = globalThis.model;
  const list = (from, to) => Array.from({ length: to - from }, (_, index) => ((from + index) * 97 + 3) % 500);
  await model.logitsHash(list(0, 2));
  const before = await model.memory();
  const start = performance.now();
  const hash = await model.logitsHash(list(2, 2 + count));
  const seconds = (performance.now() - start) / 1000;
  const after = await model.memory();
  return { plan, hash, seconds, before, after };
}

const server = await startPackage({ isolated: true });
server.file('/model.linnet', model);
const page = await launchPlain(server.url('/package.html'));
try {
  for (let tries = 0; !(await page.evaluate(() => globalThis.ready === true)) && tries < 100; tries++) {
    await new Promise((done) => setTimeout(done, 100));
  }
  const empty = page.rendererBytes();
  const plan = (options) =>
    page.evaluate(async (options) => {
      try {
        return (await globalThis.Linnet.plan('/model.linnet', options)).totalBytes;
      } catch (error) {
        return error.message;
      }
    }, options);
  let ceilings = given;
  if (ceilings.length === 0) {
    const most = await plan(load);
    const least = Math.max(...(await plan({ ...load, memory: 1000 })).match(/\d{4,}/g).map(Number));
    ceilings = [least, Math.round((least + most) / 2), most];
  }
  console.log(`${model}: ${megabytes(statSync(model).size)}; context ${load.context}, ${load.threads} threads`);
  for (const ceiling of ceilings) {
    const memory = /^\d+$/.test(ceiling) ? Number(ceiling) : ceiling;
    const { plan: taken, hash, seconds, before, after } = await page.evaluate(run, [{ ...load, memory }, tokens]);
    const renderer = page.rendererBytes() - empty;
    await page.evaluate(() => globalThis.model.unload());
    const rate = await page.evaluate(measureStorage);
    const passes = after.passes - before.passes;
    const streamed = (after.bytesStreamed - before.bytesStreamed) / passes;
    const speed = passes / seconds;
    const bound = streamed > 0 ? rate / streamed : Infinity;
    console.log(
      [
        `ceiling ${ceiling}: plan ${megabytes(taken.totalBytes)}`,
        `WebAssembly ${megabytes(after.wasmBytes)}`,
        `renderer ${megabytes(renderer)} beyond an empty page`,
        `${speed.toFixed(2)} tokens/s`,
        `${megabytes(streamed)} streamed a token`,
        `storage ${(rate / 1e9).toFixed(2)} GB/s`,
        streamed > 0 ? `bound ${bound.toFixed(2)} tokens/s, ${((100 * speed) / bound).toFixed(0)} % of it` : 'all in memory',
        `logits ${hash.slice(0, 12)}`,
      ].join('; '),
    );
  }
} finally {
  await page.close();
  await server.close();
}
