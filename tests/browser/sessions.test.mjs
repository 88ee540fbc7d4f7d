// Conversations of the package: saved and taken up, cloned, regenerated, stopped by a text, kept in order; OpenAI's form.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch } from './lib/chromium.mjs';
import { chat } from './lib/models.mjs';
import { loadWell, openPackage, startPackage } from './lib/package.mjs';

let server, browser, page;

before(async () => {
  server = await startPackage({ isolated: true });
  server.file('/chat.linnet', chat());
  browser = await launch();
  page = await openPackage(browser, server);
  await loadWell(page, '/chat.linnet');
});
after(async () => {
  await browser?.close();
  await server?.close();
});

test('a saved conversation goes on after the page was reloaded, with the same words and without computing it again', async () => {
  const before = await page.evaluate(async () => {
    const session = await globalThis.model.session({ system: 'Be short.', sampling: { temperature: 0 } });
    await session.prompt('Hello there', { maxTokens: 20 });
    const saved = await session.save('evening');
    const clone = await session.clone();
    const next = await session.prompt('And then?', { maxTokens: 20 });
    const same = await clone.prompt('And then?', { maxTokens: 20 });
    return { saved, next, same };
  });
  assert.equal(before.saved.name, 'evening');
  assert.ok(before.saved.tokens > 20);
  assert.equal(before.same.text, before.next.text);
  await page.reload();
  await page.waitForFunction(() => globalThis.ready);
  await loadWell(page, '/chat.linnet');
  const restored = await page.evaluate(async () => {
    const list = await globalThis.model.saved();
    const session = await globalThis.model.restore('evening');
    const messages = session.messages.length;
    const next = await session.prompt('And then?', { maxTokens: 20 });
    await globalThis.model.forget('evening');
    return { list: list.map(({ name }) => name), messages, next, left: (await globalThis.model.saved()).length };
  });
  assert.deepEqual(restored.list, ['evening']);
  assert.equal(restored.next.text, before.next.text);
  assert.ok(restored.next.usage.cachedTokens >= before.saved.tokens - 1, JSON.stringify(restored.next.usage));
  assert.equal(restored.left, 0);
});

test('regenerate, rewind, stop texts, and questions in order', async () => {
  const result = await page.evaluate(async () => {
    const session = await globalThis.model.session({ sampling: { temperature: 0 } });
    const first = await session.prompt('One', { maxTokens: 16 });
    const again = await session.regenerate({ maxTokens: 16 }).reply;
    await session.rewind(0);
    const anew = await session.prompt('One', { maxTokens: 16 });
    const word = first.text.slice(5, 8);
    await session.rewind(0);
    const stopped = await session.prompt('One', { maxTokens: 16, stop: word });
    await session.rewind(0);
    const order = [];
    await Promise.all([
      session.prompt('One', { maxTokens: 8 }).then(() => order.push(1)),
      session.prompt('Two', { maxTokens: 2 }).then(() => order.push(2)),
    ]);
    return { first, again, anew, stopped, word, order, messages: session.messages.map(({ role }) => role) };
  });
  assert.equal(result.again.text, result.first.text);
  assert.equal(result.anew.text, result.first.text);
  assert.equal(result.stopped.finish, 'stop');
  assert.equal(result.stopped.text, result.first.text.slice(0, result.first.text.indexOf(result.word)));
  assert.deepEqual(result.order, [1, 2]);
  assert.deepEqual(result.messages, ['user', 'assistant', 'user', 'assistant']);
});

test('a conversation that outgrows the context forgets its oldest messages and says so', async () => {
  const result = await page.evaluate(async () => {
    await globalThis.model.unload();
    await globalThis.load('/chat.linnet', { context: 128 });
    const session = await globalThis.model.session({ sampling: { temperature: 0 } });
    let usage;
    for (let turn = 0; turn < 4; turn++) ({ usage } = await session.prompt('Tell me more of it', { maxTokens: 30 }));
    let long;
    try {
      await session.prompt('word '.repeat(400), { maxTokens: 5 });
    } catch (error) {
      long = globalThis.told(error);
    }
    return { usage, long };
  });
  assert.ok(result.usage.forgottenMessages > 0, JSON.stringify(result.usage));
  assert.ok(result.usage.totalTokens <= 128);
  assert.equal(result.long?.code, 'does-not-fit');
  assert.match(result.long.message, /128/);
});

test("OpenAI's form, whole and streamed", async () => {
  const result = await page.evaluate(async () => {
    const client = globalThis.linnet.createOpenAI(globalThis.model);
    const request = { messages: [{ role: 'user', content: 'Hello' }], temperature: 0, max_tokens: 12 };
    const whole = await client.chat.completions.create(request);
    let text = '';
    let reason;
    for await (const part of await client.chat.completions.create({ ...request, stream: true })) {
      text += part.choices[0]?.delta.content ?? '';
      reason = part.choices[0]?.finish_reason ?? reason;
    }
    return { whole, text, reason };
  });
  assert.equal(result.whole.object, 'chat.completion');
  assert.equal(result.whole.choices[0].message.role, 'assistant');
  assert.equal(result.whole.choices[0].message.content, result.text);
  assert.equal(result.whole.choices[0].finish_reason, 'length');
  assert.equal(result.reason, 'length');
  assert.equal(result.whole.usage.completion_tokens, 12);
});
