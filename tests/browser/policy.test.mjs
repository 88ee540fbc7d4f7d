// A plain page with the package under the strictest policy, in a sub-path, and what the package asks of a browser.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { launch } from './lib/chromium.mjs';
import { chat, chatGguf, nativeLogitsHash } from './lib/models.mjs';
import { clearStorage, load, loadWell, logitsHash, openPackage, startPackage } from './lib/package.mjs';
import { STRICT_CSP } from './lib/server.mjs';

let browser;
before(async () => {
  browser = await launch();
});
after(async () => {
  await browser?.close();
});

for (const isolated of [true, false]) {
  test(`strict policy, in a sub-path, ${isolated ? 'with' : 'without'} isolation: nothing is reported`, async () => {
    const server = await startPackage({ isolated, csp: STRICT_CSP, base: '/deep/er/' });
    let page;
    try {
      server.file('/deep/er/models/chat.linnet', chat()).file('/deep/er/models/chat.gguf', chatGguf());
      page = await openPackage(browser, server);
      await clearStorage(page);
      for (const url of ['models/chat.linnet', 'models/chat.gguf']) {
        const { info } = await loadWell(page, url, { threads: isolated ? 2 : 1 });
        assert.equal(info.threads, isolated ? 2 : 1);
        assert.equal(await logitsHash(page, [1, 5, 9]), await nativeLogitsHash(chat(), [1, 5, 9]));
        const reply = await page.evaluate(async () => (await globalThis.model.session()).prompt('Hello', { maxTokens: 5 }));
        assert.ok(reply.text.length > 0);
        await page.evaluate(() => globalThis.model.unload());
      }
      assert.deepEqual(await page.evaluate(() => globalThis.violations), []);
      await page.waitForTimeout(300);
      assert.deepEqual(server.violations, []);
      assert.deepEqual(browser.errors, []);
      const outside = server.requests.filter(({ path, status }) => !path.startsWith('/deep/er/') || status >= 400);
      assert.deepEqual(
        outside.map(({ path }) => path).filter((path) => path !== '/favicon.ico'),
        [],
      );
    } finally {
      await page?.close();
      await server.close();
    }
  });
}

test('a policy without WebAssembly is told in a sentence', async () => {
  const server = await startPackage({ csp: STRICT_CSP.replace(" 'wasm-unsafe-eval'", '') });
  let page;
  try {
    server.file('/chat.linnet', chat());
    page = await openPackage(browser, server);
    const check = await page.evaluate(() => globalThis.Linnet.check());
    assert.equal(check.ok, false);
    assert.match(check.features.webAssembly.reason, /wasm-unsafe-eval/);
    const { error } = await load(page, '/chat.linnet');
    assert.equal(error.code, 'unsupported');
    assert.match(error.message, /wasm-unsafe-eval/);
  } finally {
    await page?.close();
    await server.close();
  }
});

describe('what the package refuses and says', () => {
  let server, page;
  before(async () => {
    server = await startPackage({ isolated: true });
    server.file('/chat.linnet', chat());
    page = await openPackage(browser, server);
  });
  after(async () => {
    await page?.close();
    await server?.close();
  });

  test('check() has a reason for each thing', async () => {
    const check = await page.evaluate(() => globalThis.Linnet.check());
    assert.equal(check.ok, true);
    assert.equal(check.build, 'relaxed-threads');
    for (const [name, feature] of Object.entries(check.features)) {
      assert.match(feature.reason, /^[A-Z].*\.$/s, name);
    }
    assert.equal(check.features.simd.available, true);
  });

  for (const [what, options] of [
    ['an option that does not exist', { contxt: 5 }],
    ['a memory that is no size', { memory: 'much' }],
    ['no threads', { threads: 0 }],
    ['a context below zero', { context: -1 }],
    ['other kernels', { kernels: 'avx512' }],
  ]) {
    test(`load refuses ${what}`, async () => {
      const { error } = await load(page, '/chat.linnet', options);
      assert.equal(error.code, 'bad-argument');
      assert.ok(error.message.includes(Object.keys(options)[0]), error.message);
    });
  }

  test('a model that does not fit says how much it needs', async () => {
    const { error } = await load(page, '/chat.linnet', { memory: '1MB' });
    assert.equal(error.code, 'does-not-fit');
    assert.match(error.message, /at least|smallest/);
    assert.match(error.message, /\d+ ?(bytes|MB)/);
  });

  test('sessions refuse what they do not know, and a model that was unloaded says so', async () => {
    await loadWell(page, '/chat.linnet');
    const thrown = await page.evaluate(async () => {
      const problem = async (call) => {
        try {
          await call();
          return null;
        } catch (error) {
          return globalThis.told(error);
        }
      };
      const model = globalThis.model;
      const session = await model.session();
      const found = {
        session: await problem(() => model.session({ sytem: 'x' })),
        sampling: await problem(() => model.session({ sampling: { topK: -1 } })),
        prompt: await problem(() => session.prompt('x', { maxToken: 5 })),
      };
      await model.unload();
      found.unloaded = await problem(() => session.prompt('x'));
      return found;
    });
    assert.equal(thrown.session?.code, 'bad-argument');
    assert.equal(thrown.sampling?.code, 'bad-argument');
    assert.equal(thrown.prompt?.code, 'bad-argument');
    assert.equal(thrown.unloaded?.code, 'closed');
  });
});
