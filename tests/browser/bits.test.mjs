// The same bits in the tab as in the terminal: logits and text, on every kernel, with and without threads; GGUF converted here.
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { after, before, beforeEach, describe, test } from 'node:test';
import { launch } from './lib/chromium.mjs';
import { chat, chatGguf, linnet, nativeLogitsHash, stories, tiny } from './lib/models.mjs';
import {
  clearStorage,
  load,
  loadWell,
  logitsHash,
  openPackage,
  sha256,
  startPackage,
  stored,
  storedFiles,
  unload,
} from './lib/package.mjs';

const TOKENS = Array.from({ length: 70 }, (_, index) => (index * 97 + 3) % 500);
let server, browser, page;

before(async () => {
  server = await startPackage({ isolated: true });
  server.file('/tiny.linnet', tiny()).file('/chat.linnet', chat()).file('/chat.gguf', chatGguf());
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.close();
});
beforeEach(async () => {
  await page?.close();
  page = await openPackage(browser, server);
});

/** The chat's answer in the terminal. */
async function nativeAnswer(model, prompt, { temperature = 0, seed = 0, tokens = 40, chat = true } = {}) {
  const args = ['run', model, '--prompt', prompt, '--temperature', temperature, '--seed', seed, '-n', tokens, '--json'];
  const output = await linnet(...args.map(String), ...(chat ? ['--chat'] : []));
  return JSON.parse(output).text;
}

describe('logits', () => {
  for (const kernels of ['scalar', 'wasm-simd128', 'wasm-relaxed']) {
    for (const threads of [1, 2]) {
      test(`${kernels}, ${threads} thread(s)`, async () => {
        for (const [url, file] of [
          ['/tiny.linnet', tiny()],
          ['/chat.linnet', chat()],
        ]) {
          const { info } = await loadWell(page, url, { kernels, threads });
          assert.equal(info.kernels, kernels);
          assert.equal(info.threads, threads);
          assert.equal(await logitsHash(page, TOKENS), await nativeLogitsHash(file, TOKENS));
          await unload(page);
        }
      });
    }
  }

  test('without isolation there is one thread, and the same bits', async () => {
    const bare = await startPackage();
    const tab = await openPackage(browser, bare.file('/chat.linnet', chat()));
    try {
      assert.equal(await tab.evaluate(() => typeof SharedArrayBuffer), 'undefined');
      const check = await tab.evaluate(() => globalThis.Linnet.check());
      assert.equal(check.ok, true);
      assert.equal(check.threads, 1);
      assert.equal(check.features.threads.available, false);
      assert.match(check.features.threads.reason, /Cross-Origin-Opener-Policy/);
      const { info } = await loadWell(tab, '/chat.linnet');
      assert.equal(info.threads, 1);
      assert.equal(await logitsHash(tab, TOKENS), await nativeLogitsHash(chat(), TOKENS));
      const { error } = await load(tab, '/chat.linnet', { threads: 2 });
      assert.equal(error.code, 'unsupported');
    } finally {
      await tab.close();
      await bare.close();
    }
  });
});

describe('text', () => {
  test('of a chat, greedy and with a seed', async () => {
    await loadWell(page, '/chat.linnet');
    for (const sampling of [{ temperature: 0 }, { temperature: 0.8, seed: 7 }, { temperature: 1.5, seed: 11 }]) {
      const reply = await page.evaluate(async (sampling) => {
        const session = await globalThis.model.session({ sampling });
        return await session.prompt('What is the capital of France?', { maxTokens: 40 });
      }, sampling);
      assert.equal(reply.text, await nativeAnswer(chat(), 'What is the capital of France?', sampling));
      assert.equal(reply.finish, 'length');
      assert.equal(reply.usage.completionTokens, 40);
    }
  });

  test('of a real model that goes on with a story', async (t) => {
    const file = stories();
    if (!file) return t.skip('LINNET_MODELS has no stories15M');
    server.file('/stories.linnet', file);
    await loadWell(page, '/stories.linnet');
    const prompt = 'Once upon a time, there was a little dog';
    const reply = await page.evaluate(async (prompt) => {
      let pieces = '';
      const stream = globalThis.model.complete(prompt, { maxTokens: 60, sampling: { temperature: 0 } });
      for await (const piece of stream) pieces += piece;
      return { ...(await stream.reply), pieces };
    }, prompt);
    assert.equal(reply.pieces, reply.text);
    assert.equal(reply.text, await nativeAnswer(file, prompt, { tokens: 60, chat: false }));
    assert.match(reply.text, /[a-z]+ [a-z]+/);
    const text = 'Grüße, 世界! 👋🏽 <|user|>';
    const tokens = await page.evaluate(async (text) => {
      const tokens = [...(await globalThis.model.tokenize(text))];
      return { tokens, count: await globalThis.model.countTokens(text), back: await globalThis.model.detokenize(tokens) };
    }, text);
    assert.equal(tokens.count, tokens.tokens.length);
    assert.equal(tokens.back.trim(), text);
  });
});

describe('a GGUF', () => {
  const size = () => statSync(chat()).size;
  const hasTheFile = async () =>
    assert.ok(
      Object.values(await storedFiles(page, 1000)).some((file) => file.size === size() && file.sha256 === sha256(chat())),
      'the stored file is the one that `linnet convert` writes',
    );

  test('address is converted while it downloads, to the bytes of the native command, and resumed', async () => {
    await clearStorage(page);
    server.forget();
    server.fault('/chat.gguf', { dropAt: 6_000_000, times: 1 });
    const { progress } = await loadWell(page, '/chat.gguf');
    assert.ok(progress.some((event) => event.phase === 'convert' || event.phase === 'download'));
    const gguf = statSync(chatGguf()).size;
    assert.ok(server.bytes('/chat.gguf') < gguf + 3e6, `${server.bytes('/chat.gguf')} bytes for a file of ${gguf}`);
    await hasTheFile();
    assert.equal(await logitsHash(page, TOKENS), await nativeLogitsHash(chat(), TOKENS));
    const list = await stored(page);
    assert.deepEqual(
      list.map((model) => [model.url, model.complete]),
      [[server.url('/chat.gguf'), true]],
    );
    const kept = await storedFiles(page, 1e6);
    assert.equal(Object.keys(kept).length, 1, `the GGUF itself is not kept: ${JSON.stringify(kept)}`);
    await unload(page);
    server.fault('/chat.gguf', { status: 500 });
    await loadWell(page, '/chat.gguf');
    server.fault('/chat.gguf');
  });

  test('file is converted too', async () => {
    await clearStorage(page);
    await page.setInputFiles('input', chatGguf());
    await loadWell(page, 'FILE');
    assert.equal(await logitsHash(page, TOKENS), await nativeLogitsHash(chat(), TOKENS));
    await hasTheFile();
  });

  test('that is damaged is refused with a sentence', async () => {
    await clearStorage(page);
    server.file('/bad.gguf', Buffer.concat([Buffer.from('GGUF\x03\0\0\0'), Buffer.alloc(100_000, 0xff)]));
    const { error } = await load(page, '/bad.gguf');
    assert.equal(error.code, 'bad-file');
    assert.match(error.message, /^[A-Z].*\.$/s);
    assert.deepEqual(
      (await stored(page)).filter((model) => model.complete),
      [],
    );
  });
});

test('a .linnet file of the person is opened where it is, without a copy', async () => {
  await clearStorage(page);
  await page.setInputFiles('input', chat());
  await loadWell(page, 'FILE');
  assert.equal(await logitsHash(page, TOKENS), await nativeLogitsHash(chat(), TOKENS));
  assert.deepEqual(await storedFiles(page, 1e6), {});
});
