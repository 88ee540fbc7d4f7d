// The package's API in a real browser, from a static folder at a sub-path under the strict policy: what it answers, refuses,
// stops, and that its bits are the native command's.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { launch } from './lib/chromium.mjs';
import { chat, linnet, nativeLogitsHash, root, slow, tiny } from './lib/models.mjs';
import { STRICT_CSP, startServer } from './lib/server.mjs';

const PAGE = `<!doctype html><html lang="en"><title>Test</title><script type="module" src="page.js"></script>`;
const SCRIPT = `
import * as package_ from '../vendor/linnet/index.js';
Object.assign(globalThis, package_);
globalThis.ready = true;
`;

let server;
let browser;

before(async () => {
  server = await startServer({ csp: STRICT_CSP });
  server
    .folder('/deep/down/vendor/linnet/', join(root, 'wasm/package/dist'))
    .file('/deep/down/app/index.html', Buffer.from(PAGE))
    .file('/deep/down/app/page.js', Buffer.from(SCRIPT))
    .file('/models/tiny.linnet', tiny())
    .file('/models/chat.linnet', chat())
    .file('/models/slow.linnet', slow());
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.close();
});

async function openPage() {
  const page = await browser.page(server.url('/deep/down/app/index.html'));
  await page.waitForFunction(() => globalThis.ready);
  return page;
}

for (const isolated of [false, true]) {
  test(`the same logits as the terminal, ${isolated ? 'with threads' : 'with one thread'}`, async () => {
    server.configure({ isolated });
    const page = await openPage();
    const tokens = Array.from({ length: 24 }, (_, i) => (i * 37 + 3) % 256);
    const result = await page.evaluate(async (tokens) => {
      const model = await Linnet.load('/models/tiny.linnet', { threads: crossOriginIsolated ? 2 : 'auto' });
      const hash = await model.logitsHash(tokens);
      const { threads, kernels } = model.info;
      await model.unload();
      return { hash, threads, kernels };
    }, tokens);
    assert.equal(result.threads, isolated ? 2 : 1);
    assert.equal(result.hash, await nativeLogitsHash(tiny(), tokens));
    await page.close();
    server.configure({ isolated: false });
  });
}

test('an answer comes in pieces, and goes on from the last one without computing it again', async () => {
  const page = await openPage();
  const result = await page.evaluate(async () => {
    const model = await Linnet.load('/models/chat.linnet', { context: 512 });
    const session = await model.session({ sampling: { temperature: 0 } });
    const answer = session.stream('Hello', { maxTokens: 20 });
    let text = '';
    for await (const piece of answer) text += piece;
    const first = await answer.reply;
    const second = await session.prompt('And then?', { maxTokens: 5 });
    const messages = session.messages;
    await model.unload();
    return { text, first, second, messages };
  });
  assert.equal(result.text, result.first.text);
  assert.equal(result.first.finish, 'length');
  assert.equal(result.first.usage.completionTokens, 20);
  assert.equal(result.messages.length, 4);
  // All but the last token of the first answer, which is evaluated when another is wanted.
  assert.ok(result.second.usage.cachedTokens >= result.first.usage.totalTokens - 1, JSON.stringify(result.second.usage));
  await page.close();
});
