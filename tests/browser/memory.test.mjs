// The memory of the tab while a model is loaded and afterwards, against the plan.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launchPlain } from './lib/plain_chromium.mjs';
import { slow } from './lib/models.mjs';
import { startPackage } from './lib/package.mjs';

const MEGABYTE = 1e6;
// Beside the model's own memory: the module, its stacks and what the binding keeps. WebAssembly grows in steps of one.
const MODULE = 6 * MEGABYTE;
// Of the renderer: a worker, the module's code, chunks under way on four connections, the checksums.
const LOADING = 60 * MEGABYTE;
let server, page, empty;

before(async () => {
  server = await startPackage({ isolated: true });
  server.file('/slow.linnet', slow());
  page = await launchPlain(server.url('/package.html'));
  for (let tries = 0; tries < 100; tries++) {
    if (await page.evaluate(() => globalThis.ready === true)) break;
    await pause(100);
  }
  await pause(500);
  empty = page.rendererBytes();
});
after(async () => {
  await page?.close();
  await server?.close();
});

const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
const load = (options) => page.evaluate((options) => globalThis.load('/slow.linnet', options), options);
const unload = () => page.evaluate(() => globalThis.model.unload().then(() => true));

async function watched(action) {
  let most = 0;
  const watch = setInterval(() => (most = Math.max(most, page.rendererBytes())), 50);
  try {
    return { result: await action(), most: most - empty };
  } finally {
    clearInterval(watch);
  }
}
const text = (bytes) => `${(bytes / MEGABYTE).toFixed(0)} MB`;

for (const how of ['from the network', 'from storage']) {
  test(`a load ${how} takes the plan and little more`, async (t) => {
    server.fault('/slow.linnet', how === 'from storage' ? { status: 500 } : { bytesPerSecond: 60 * MEGABYTE });
    const { result, most } = await watched(() => load({ context: 512, threads: 2 }));
    assert.equal(result.error, undefined);
    t.after(() => unload().catch(() => {}));
    const planned = result.plan.totalBytes;
    const memory = await page.evaluate(() => globalThis.model.memory());
    await page.evaluate(async () => (await (await globalThis.model.session()).prompt('Hello', { maxTokens: 20 })).text);
    const talking = page.rendererBytes() - empty;
    t.diagnostic(
      `plan ${text(planned)}; WebAssembly ${text(memory.wasmBytes)}; renderer, beyond an empty page (${text(empty)}): ` +
        `${text(most)} at most while loading, ${text(talking)} while talking`,
    );
    assert.ok(memory.arenaBytes <= planned, `arena ${text(memory.arenaBytes)}, plan ${text(planned)}`);
    assert.ok(memory.wasmBytes < planned + MODULE, `WebAssembly ${text(memory.wasmBytes)}, plan ${text(planned)}`);
    assert.ok(most < planned + LOADING, `${text(most)} while loading, plan ${text(planned)}`);
    assert.ok(talking < planned + LOADING, `${text(talking)} while talking, plan ${text(planned)}`);
    await unload();
    // The worker's memory goes back to the system a moment after it has ended.
    let left;
    for (let tries = 0; tries < 50; tries++) {
      left = page.rendererBytes() - empty;
      if (left < LOADING) break;
      await pause(100);
    }
    assert.ok(left < LOADING, `${text(left)} after unload()`);
  });
}

test('a ceiling is kept', async () => {
  const planned = (await load({ context: 512 })).plan.totalBytes;
  await unload();
  const { error } = await load({ context: 512, memory: planned - 1000 });
  if (error) assert.equal(error.code, 'does-not-fit');
  else {
    const memory = await page.evaluate(() => globalThis.model.memory());
    assert.ok(memory.arenaBytes <= planned - 1000);
  }
});
