// The package's API in a real browser, from a static folder at a sub-path under the strict policy: what it answers, refuses,
// stops, and that its bits are the native command's.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { launch } from './lib/chromium.mjs';
import { chat, chatGguf, linnet, nativeLogitsHash, other, root, slow, stories, tiny } from './lib/models.mjs';
import { STRICT_CSP, startServer } from './lib/server.mjs';

const PAGE = '<!doctype html><html lang="en"><title>Test</title><script type="module" src="page.js"></script>';
const SCRIPT = `
import * as linnet from '../vendor/linnet/index.js';
Object.assign(globalThis, linnet);
/** A call that is to be refused: its error's name, code and sentence. */
globalThis.refusal = async (call) => {
  try {
    await call();
  } catch (error) {
    return { name: error.name, code: error.code, message: error.message };
  }
  return 'it was not refused';
};
globalThis.ready = true;
`;
const HOME = '/deep/down/app/index.html';
const PACKAGE = '/deep/down/vendor/linnet/';
const RELAXED = (suffix) => `${PACKAGE}wasm/linnet-relaxed.${suffix}`;
const GREEDY = { temperature: 0 };
// So hot that random weights do not say one word for ever.
const SEEDED = { temperature: 2, topK: 0, topP: 1, minP: 0, seed: 3 };

let server;
let browser;
let page;

async function openPage(at = server) {
  const opened = await browser.page(at.url(HOME));
  await opened.waitForFunction(() => globalThis.ready);
  return opened;
}

async function startPackageServer(options) {
  const started = await startServer({ csp: STRICT_CSP, ...options });
  return started
    .folder(PACKAGE, join(root, 'wasm/package/dist'))
    .file(HOME, Buffer.from(PAGE))
    .file('/deep/down/app/page.js', Buffer.from(SCRIPT))
    .file('/models/tiny.linnet', tiny());
}

before(async () => {
  server = await startPackageServer({});
  server.file('/models/chat.linnet', chat()).file('/models/other.linnet', other()).file('/models/slow.linnet', slow());
  browser = await launch();
  page = await openPage();
});
after(async () => {
  await browser?.close();
  await server?.close();
  assert.deepEqual(server?.violations, []);
});

for (const isolated of [false, true]) {
  test(`the same logits as the terminal, ${isolated ? 'two threads' : 'one thread'}, with every kernel`, async (t) => {
    // An origin of its own: what the browser keeps of a page keeps the headers that it came with.
    const origin = await startPackageServer({ isolated });
    t.after(() => origin.close());
    const own = await openPage(origin);
    const tokens = Array.from({ length: 24 }, (_, i) => (i * 37 + 3) % 256);
    const expected = await nativeLogitsHash(tiny(), tokens);
    for (const kernels of ['auto', 'wasm-simd128', 'scalar']) {
      const { hash, info } = await own.evaluate(
        async ({ tokens, kernels }) => {
          const threads = crossOriginIsolated ? 2 : 'auto';
          const model = await Linnet.load('/models/tiny.linnet', { threads, kernels });
          const hash = await model.logitsHash(tokens);
          await model.unload();
          return { hash, info: model.info };
        },
        { tokens, kernels },
      );
      assert.equal(info.threads, isolated ? 2 : 1);
      assert.equal(hash, expected, info.kernels);
    }
    await own.close();
  });
}

test('a seed gives the text that the terminal gives', async (t) => {
  const model = stories();
  if (!model) return t.skip('stories15M is not there');
  server.file('/models/stories.linnet', model);
  const prompt = 'Once upon a time';
  const native = JSON.parse(await linnet('run', model, '--prompt', prompt, '-n', '40', '--seed', '7', '--json'));
  const texts = await page.evaluate(async (prompt) => {
    const model = await Linnet.load('/models/stories.linnet');
    const texts = [];
    for (let i = 0; i < 2; ++i) {
      const { text } = await model.complete(prompt, { maxTokens: 40, sampling: { seed: 7 } }).reply;
      texts.push(text);
    }
    texts.push((await model.complete(prompt, { maxTokens: 40 }).reply).text);
    await model.unload();
    return texts;
  }, prompt);
  assert.equal(texts[0], native.text);
  assert.equal(texts[1], native.text);
  assert.notEqual(texts[2], native.text);
});

test('a GGUF file is converted on its way, from an address or the person’s disk, to the model that the command makes', async () => {
  server.file('/models/chat.gguf', chatGguf());
  const tokens = [3, 1, 4, 1, 5];
  const expected = await nativeLogitsHash(chat(), tokens);
  const found = await page.evaluate(async (tokens) => {
    const hashOf = async (source) => {
      const phases = new Set();
      const model = await Linnet.load(source, { context: 256, onProgress: ({ phase }) => phases.add(phase) });
      const hash = await model.logitsHash(tokens);
      await model.unload();
      return { hash, phases: [...phases] };
    };
    const fromAddress = await hashOf('/models/chat.gguf');
    const again = await hashOf('/models/chat.gguf');
    const bytes = await (await fetch('/models/chat.gguf')).blob();
    const fromFile = await hashOf(new File([bytes], 'mine.gguf'));
    const native = await (await fetch('/models/chat.linnet')).blob();
    return { fromAddress, again, fromFile, inPlace: await hashOf(native) };
  }, tokens);
  for (const [name, { hash }] of Object.entries(found)) assert.equal(hash, expected, name);
  assert.ok(found.fromAddress.phases.includes('convert'));
  assert.deepEqual(found.again.phases, ['open']);
  assert.deepEqual(found.inPlace.phases, ['open']);
});

test('what is stored is listed, verified and deleted', async () => {
  const url = server.url('/models/other.linnet');
  const found = await page.evaluate(async (url) => {
    const model = await Linnet.load(url, { context: 128 });
    const busy = await refusal(() => Linnet.models.delete(url));
    await model.unload();
    const [stored] = (await Linnet.models.list()).filter((each) => each.url === url);
    const verified = await Linnet.models.verify(url);
    const size = await Linnet.models.size();
    await Linnet.models.delete(url);
    const left = (await Linnet.models.list()).filter((each) => each.url === url);
    return { busy, stored, verified, size, left };
  }, url);
  assert.equal(found.busy.code, 'busy');
  assert.equal(found.stored.complete, true);
  assert.ok(found.stored.bytes > 1e6);
  assert.deepEqual(found.verified, { ok: true, problem: '' });
  assert.ok(found.size.usedBytes >= found.stored.bytes);
  assert.deepEqual(found.left, []);
});

test('an answer comes in pieces; the next goes on from it and computes nothing twice', async () => {
  const result = await page.evaluate(async (sampling) => {
    const model = await Linnet.load('/models/chat.linnet', { context: 512 });
    const session = await model.session({ sampling });
    const answer = session.stream('Hello', { maxTokens: 20 });
    let text = '';
    for await (const piece of answer) text += piece;
    const first = await answer.reply;
    const prefill = [];
    const second = await session.prompt('And then?', { maxTokens: 5, onPrefill: (done, total) => prefill.push([done, total]) });
    const again = await session.regenerate({ maxTokens: 5 }).reply;
    const messages = session.messages;
    await model.unload();
    return { text, first, second, again, messages, prefill };
  }, GREEDY);
  assert.equal(result.text, result.first.text);
  assert.equal(result.first.finish, 'length');
  assert.equal(result.first.usage.completionTokens, 20);
  assert.equal(result.first.usage.cachedTokens, 0);
  assert.deepEqual(
    result.messages.map(({ role }) => role),
    ['user', 'assistant', 'user', 'assistant'],
  );
  // All but the last token of the first answer, which is evaluated when another is wanted.
  assert.equal(result.second.usage.cachedTokens, result.first.usage.totalTokens - 1);
  const [done, total] = result.prefill.at(-1);
  assert.equal(done, total);
  assert.equal(total, result.second.usage.promptTokens - result.second.usage.cachedTokens);
  assert.equal(result.again.text, result.second.text);
  assert.ok(result.again.usage.cachedTokens >= result.second.usage.cachedTokens);
  for (const reply of [result.first, result.second]) {
    const { usage, timings } = reply;
    assert.equal(usage.totalTokens, usage.promptTokens + usage.completionTokens);
    const { bytesStreamed, ...measured } = timings;
    assert.equal(bytesStreamed, 0);
    for (const value of Object.values(measured)) assert.ok(value > 0, JSON.stringify(timings));
  }
});

test('a stop text ends the answer and is no part of it', async () => {
  const { whole, stopped, after } = await page.evaluate(async (sampling) => {
    const model = await Linnet.load('/models/chat.linnet', { context: 512 });
    const session = await model.session({ sampling });
    const whole = await session.prompt('Hello', { maxTokens: 30 });
    const word = whole.text.slice(6, 10);
    const stopped = await session.regenerate({ maxTokens: 30, stop: [word, 'never said'] }).reply;
    const after = await session.prompt('More', { maxTokens: 4 });
    await model.unload();
    return { whole, stopped, after };
  }, GREEDY);
  assert.equal(stopped.finish, 'stop');
  assert.equal(stopped.text, whole.text.slice(0, whole.text.indexOf(whole.text.slice(6, 10))));
  assert.equal(after.usage.completionTokens, 4);
});

test('rewind, clone, and sessions that share one place in memory', async () => {
  const result = await page.evaluate(async (sampling) => {
    const model = await Linnet.load('/models/tiny.linnet', { context: 512 });
    const ask = async (session, text) => (await session.prompt(text, { maxTokens: 16 })).text;
    const a = await model.session({ system: 'Be brief.', sampling });
    await ask(a, 'One');
    const b = await a.clone();
    // Asked at once: they wait for one another, and each has its own past.
    const [second, other] = await Promise.all([ask(a, 'Two'), ask(b, 'Three')]);
    await a.rewind(2);
    const secondAgain = await ask(a, 'Two');
    // From texts: the answer's tokens are made anew, and may be others than those that were said.
    const past = [...a.messages.slice(0, 1), { role: 'assistant', content: 'Well said.' }];
    const c = await model.session({ system: 'Be brief.', sampling, messages: past });
    const third = await ask(c, 'Three');
    const d = await model.session({ sampling, messages: [{ role: 'system', content: 'Be brief.' }, ...past] });
    await b.rewind(2);
    const otherAgain = await ask(b, 'Three');
    const thirdAgain = await ask(d, 'Three');
    const said = { a: a.messages.length, b: b.messages.length, d: d.messages.length, system: d.system };
    await b.close();
    const closed = await refusal(() => b.prompt('Hello?'));
    await model.unload();
    const unloaded = await refusal(() => a.prompt('Hello?'));
    return { second, secondAgain, other, otherAgain, third, thirdAgain, said, closed, unloaded };
  }, SEEDED);
  assert.equal(result.secondAgain, result.second);
  assert.equal(result.otherAgain, result.other);
  assert.equal(result.thirdAgain, result.third);
  assert.notEqual(result.second, result.other);
  assert.deepEqual(result.said, { a: 4, b: 4, d: 4, system: 'Be brief.' });
  assert.equal(result.closed.code, 'closed');
  assert.equal(result.unloaded.code, 'closed');
});

test('a ceiling holds: with less memory the same bits, below the least a sentence that names it', async () => {
  const { whole, least, refused } = await page.evaluate(async () => {
    const measure = async (memory) => {
      const model = await Linnet.load('/models/chat.linnet', { context: 128, ...memory });
      const hash = await model.logitsHash([5, 6, 7]);
      const { arenaBytes } = await model.memory();
      await model.unload();
      return { hash, arenaBytes, plan: model.plan };
    };
    const whole = await measure({});
    const refused = await refusal(() => measure({ memory: '200kB' }));
    const smallest = Number(/smallest that would do is (\d+) bytes/.exec(refused.message)?.[1]);
    return { whole, refused, least: await measure({ memory: smallest }) };
  });
  assert.equal(refused.code, 'does-not-fit');
  assert.ok(least.arenaBytes < whole.arenaBytes, `${least.arenaBytes} and ${whole.arenaBytes}`);
  assert.equal(least.arenaBytes, least.plan.totalBytes);
  assert.equal(least.hash, whole.hash);
});

test('with two resident sessions, two conversations in turns compute nothing twice; a clone neither', async () => {
  const { two, clone } = await page.evaluate(async () => {
    const model = await Linnet.load('/models/chat.linnet', { context: 256, residentSessions: 2 });
    const [a, b] = [await model.session(), await model.session()];
    const two = [];
    for (const session of [a, b, a, b]) two.push((await session.prompt('Hello there', { maxTokens: 8 })).usage);
    await b.close();
    const copy = await a.clone();
    const clone = (await copy.prompt('Hello there', { maxTokens: 8 })).usage;
    await model.unload();
    return { two, clone };
  });
  for (const usage of two.slice(2)) assert.equal(usage.cachedTokens, two[0].totalTokens - 1);
  assert.ok(clone.cachedTokens >= two[2].totalTokens - 1, JSON.stringify(clone));
});

test('a conversation that outgrows the context forgets its oldest messages, and keeps them in messages', async () => {
  const { forgotten, messages } = await page.evaluate(async () => {
    const model = await Linnet.load('/models/chat.linnet', { context: 128 });
    const session = await model.session();
    const forgotten = [];
    for (let i = 0; i < 6; ++i) {
      const { usage } = await session.prompt(`Question ${i}, with some words that fill the context`, { maxTokens: 24 });
      forgotten.push(usage.forgottenMessages);
    }
    await model.unload();
    return { forgotten, messages: session.messages.length };
  });
  assert.equal(forgotten[0], 0);
  assert.ok(forgotten.at(-1) > 0, String(forgotten));
  assert.equal(messages, 12);
});

test('a saved conversation comes back after a reload, for its own model only', async () => {
  const own = await openPage();
  const before = await own.evaluate(async (sampling) => {
    const model = await Linnet.load('/models/chat.linnet', { context: 512 });
    const session = await model.session({ system: 'Be kind.', sampling });
    await session.prompt('Hello', { maxTokens: 16 });
    const saved = await session.save('a / name: with ümläuts?');
    const next = await session.prompt('And?', { maxTokens: 16 });
    await model.unload();
    return { saved, next };
  }, GREEDY);
  await own.reload();
  await own.waitForFunction(() => globalThis.ready);
  const after = await own.evaluate(async () => {
    const model = await Linnet.load('/models/chat.linnet', { context: 512 });
    const listed = await model.saved();
    const session = await model.restore('a / name: with ümläuts?');
    const { system, messages } = session;
    const next = await session.prompt('And?', { maxTokens: 16 });
    const nobody = await refusal(() => model.restore('nobody'));
    await model.unload();
    const stranger = await Linnet.load('/models/other.linnet', { context: 512 });
    const foreign = await refusal(() => stranger.restore('a / name: with ümläuts?'));
    await stranger.forget('a / name: with ümläuts?');
    const left = await stranger.saved();
    await stranger.unload();
    return { listed, system, messages, next, nobody, foreign, left };
  });
  assert.equal(after.listed[0].name, 'a / name: with ümläuts?');
  assert.equal(after.listed[0].messages, 2);
  assert.equal(after.listed[0].bytes, before.saved.bytes);
  assert.equal(after.system, 'Be kind.');
  assert.equal(after.messages.length, 2);
  assert.equal(after.next.text, before.next.text);
  // Keys and values came back with it: as much is computed as if it had gone on at once.
  assert.equal(after.next.usage.cachedTokens, before.next.usage.cachedTokens);
  assert.ok(before.saved.bytes > before.saved.tokens * 1000, `${before.saved.bytes} bytes`);
  assert.equal(after.nobody.code, 'not-found');
  assert.equal(after.foreign.code, 'bad-argument');
  assert.match(after.foreign.message, /another model/);
  assert.deepEqual(after.left, []);
  await own.close();
});

for (const [what, kernels, options] of [
  ['while the answer comes', 'scalar', { at: 'piece' }],
  ['while the prompt is read', 'auto', { at: 'prefill' }],
  ['while the answer comes, by leaving the loop', 'auto', { at: 'break' }],
]) {
  test(`an answer is stopped within 200 ms ${what}`, async () => {
    const result = await page.evaluate(
      async ({ kernels, at }) => {
        const model = await Linnet.load('/models/slow.linnet', { context: 1024, kernels });
        const session = await model.session();
        const controller = new AbortController();
        let stoppedAt = 0;
        const stop = () => {
          if (stoppedAt === 0) stoppedAt = performance.now();
          if (at !== 'break') controller.abort();
        };
        const question = at === 'prefill' ? 'many words '.repeat(110) : 'Hi';
        const answer = session.stream(question, {
          signal: controller.signal,
          maxTokens: 400,
          onPrefill: () => at === 'prefill' && setTimeout(stop, 20),
        });
        let pieces = 0;
        for await (const piece of answer) {
          if (piece !== '' && ++pieces === 2 && at === 'piece') setTimeout(stop, 20);
          if (pieces === 2 && at === 'break') {
            stop();
            break;
          }
        }
        const reply = await answer.reply;
        const took = performance.now() - stoppedAt;
        const messages = session.messages.length;
        // It goes on as if nothing had been.
        const after = await session.prompt('Go on', { maxTokens: 2 });
        await model.unload();
        return { took, reply, messages, after };
      },
      { kernels, ...options },
    );
    assert.ok(result.took < 200, `${result.took} ms`);
    assert.equal(result.reply.finish, 'cancelled');
    assert.equal(result.messages, options.at === 'prefill' ? 0 : 2);
    assert.equal(result.after.usage.completionTokens, 2);
  });
}

test('a question that waits for its turn is stopped within 250 ms too', async () => {
  const result = await page.evaluate(async () => {
    const model = await Linnet.load('/models/slow.linnet', { context: 512 });
    const [a, b] = [await model.session(), await model.session()];
    const first = a.stream('Hi', { maxTokens: 300 });
    const controller = new AbortController();
    const second = b.prompt('Hi', { signal: controller.signal });
    setTimeout(() => controller.abort(), 50);
    const start = performance.now();
    const { finish } = await second;
    const took = performance.now() - start;
    first.cancel();
    await first.reply;
    await model.unload();
    return { finish, took, messages: b.messages.length };
  });
  assert.equal(result.finish, 'cancelled');
  assert.equal(result.messages, 0);
  assert.ok(result.took < 250, `${result.took} ms`);
});

test('a load is stopped within 200 ms, while it downloads and while it opens', async () => {
  const own = await openPage();
  server.file('/models/fresh.linnet', slow()).fault('/models/fresh.linnet', { bytesPerSecond: 2e6 });
  for (const phase of ['download', 'open']) {
    const result = await own.evaluate(async (phase) => {
      const controller = new AbortController();
      const reason = new Error('enough');
      let stoppedAt = 0;
      const url = phase === 'open' ? '/models/slow.linnet' : '/models/fresh.linnet';
      const load = Linnet.load(url, {
        signal: controller.signal,
        onProgress: (progress) => {
          if (progress.phase !== phase || stoppedAt !== 0) return;
          stoppedAt = performance.now();
          controller.abort(reason);
        },
      });
      const error = await load.catch((error) => error);
      return { took: performance.now() - stoppedAt, same: error === reason };
    }, phase);
    assert.ok(result.same, phase);
    assert.ok(result.took < 200, `${phase}: ${result.took} ms`);
  }
  server.fault('/models/fresh.linnet');
  await own.close();
});

test('what does not exist or cannot be is refused in a sentence', async () => {
  const refusals = await page.evaluate(async () => {
    const model = await Linnet.load('/models/chat.linnet', { context: 256 });
    const session = await model.session();
    const url = '/models/chat.linnet';
    const all = {
      option: await refusal(() => Linnet.load(url, { contxt: 5 })),
      memory: await refusal(() => Linnet.load(url, { memory: 'two gigabytes' })),
      fit: await refusal(() => Linnet.load(url, { memory: '1MB' })),
      threads: await refusal(() => Linnet.load(url, { threads: 4 })),
      many: await refusal(() => Linnet.load(url, { threads: 99 })),
      scheme: await refusal(() => Linnet.load('file:///etc/passwd')),
      nothing: await refusal(() => Linnet.load('/models/none.linnet')),
      sampling: await refusal(() => model.session({ sampling: { temprature: 1 } })),
      range: await refusal(() => model.session({ sampling: { topP: 1.5 } })),
      messages: await refusal(() => model.session({ messages: [{ role: 'robot', content: 'x' }] })),
      prompt: await refusal(() => session.prompt('x', { max_tokens: 5 })),
      stop: await refusal(() => session.prompt('x', { stop: [''] })),
      long: await refusal(() => session.prompt('word '.repeat(400))),
      signal: await refusal(() => session.prompt('x', { signal: {} })),
    };
    const messages = session.messages.length;
    const works = (await session.prompt('x', { maxTokens: 1 })).usage.completionTokens;
    await model.unload();
    return { all, messages, works };
  });
  const expected = {
    option: ['bad-argument', /there is no option 'contxt': did you mean 'context'\?/],
    memory: ['bad-argument', /'memory' is a number of bytes, or a text such as '2GB'/],
    fit: ['does-not-fit', /\w{3,}.*\.$/],
    threads: ['unsupported', /4 threads are not possible here\. .*Cross-Origin-Opener-Policy/],
    many: ['bad-argument', /'threads' must be a whole number from 1 to 16\. It is 99\./],
    scheme: ['bad-argument', /begins with http: or https:/],
    nothing: ['not-found', /\w{3,}/],
    sampling: ['bad-argument', /there is no option 'temprature': did you mean 'temperature'\?/],
    range: ['bad-argument', /'topP' must be a number above 0 and at most 1\. It is 1\.5\./],
    messages: ['bad-argument', /role' must be one of 'system', 'user', 'assistant'/],
    prompt: ['bad-argument', /there is no option 'max_tokens': did you mean 'maxTokens'\?/],
    stop: ['bad-argument', /none of them empty/],
    long: ['does-not-fit', /\w{3,}/],
    signal: ['bad-argument', /AbortSignal/],
  };
  for (const [name, [code, sentence]] of Object.entries(expected)) {
    const { all } = refusals;
    assert.equal(all[name].name, 'LinnetError', `${name}: ${JSON.stringify(all[name])}`);
    assert.equal(all[name].code, code, `${name}: ${all[name].message}`);
    assert.match(all[name].message, sentence, name);
  }
  assert.equal(refusals.messages, 0);
  assert.equal(refusals.works, 1);
});

test('a worker that cannot start, or fails, refuses every call that waits for it', async (t) => {
  t.after(() => server.fault(`${PACKAGE}worker.js`).fault(RELAXED('mjs')).fault(RELAXED('wasm')));
  const own = await openPage();
  for (const broken of [`${PACKAGE}worker.js`, RELAXED('mjs'), RELAXED('wasm')]) {
    server.fault(broken, { status: 404 });
    const error = await own.evaluate(() => refusal(() => Linnet.load('/models/tiny.linnet')));
    assert.equal(error.code, 'worker', broken);
    assert.match(error.message, /dist/, broken);
    server.fault(broken);
  }
  // A file that does not come once is asked for again.
  server.fault(`${PACKAGE}worker.js`, { status: 503, times: 1 });
  assert.equal(await own.evaluate(async () => await (await Linnet.load('/models/tiny.linnet')).unload()), undefined);
  const failed = await own.evaluate(async () => {
    // The worker's own error, at a moment when several calls wait.
    const NativeWorker = Worker;
    let inner;
    globalThis.Worker = class extends NativeWorker {
      constructor(...args) {
        super(...args);
        inner = this;
      }
    };
    const model = await Linnet.load('/models/chat.linnet', { context: 256 });
    globalThis.Worker = NativeWorker;
    const session = await model.session();
    const calls = [refusal(() => session.prompt('Hi')), refusal(() => session.prompt('Hi')), refusal(() => model.memory())];
    inner.dispatchEvent(new ErrorEvent('error', { message: 'out of memory' }));
    return [...(await Promise.all(calls)), await refusal(() => model.tokenize('x'))];
  });
  for (const error of failed) assert.equal(error.code, 'worker', JSON.stringify(error));
  await own.close();
});

test('the package’s files may stand elsewhere than its script', async () => {
  server.file('/bundled/app.js', join(root, 'wasm/package/dist/index.js'));
  const hash = await page.evaluate(async () => {
    const { Linnet } = await import('/bundled/app.js');
    const lost = await refusal(() => Linnet.load('/models/tiny.linnet'));
    const model = await Linnet.load('/models/tiny.linnet', { assets: '../vendor/linnet' });
    const hash = await model.logitsHash([1, 2, 3]);
    await model.unload();
    return { lost, hash };
  });
  assert.equal(hash.lost.code, 'worker');
  assert.equal(hash.hash, await nativeLogitsHash(tiny(), [1, 2, 3]));
});

test('check() says what is there, with reasons', async () => {
  const check = await page.evaluate(() => Linnet.check());
  assert.equal(check.ok, true);
  assert.equal(check.build, 'relaxed');
  assert.equal(check.threads, 1);
  assert.equal(check.features.threads.available, false);
  assert.match(check.features.threads.reason, /Cross-Origin-Opener-Policy: same-origin/);
  for (const [name, { reason }] of Object.entries(check.features)) assert.match(reason, /^[A-Z].*\.$/, name);
});

test('OpenAI’s client: whole answers and chunks, a conversation that goes on, fields that are refused', async () => {
  const result = await page.evaluate(async () => {
    const model = await Linnet.load('/models/chat.linnet', { context: 512 });
    const { completions } = createOpenAI(model).chat;
    const messages = [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Hello' },
    ];
    const base = { model: 'any', temperature: 0, max_tokens: 12 };
    const whole = await completions.create({ ...base, messages });
    messages.push(whole.choices[0].message, { role: 'user', content: [{ type: 'text', text: 'And?' }] });
    const chunks = [];
    const stream = await completions.create({ ...base, messages, stream: true, stream_options: { include_usage: true } });
    for await (const chunk of stream) chunks.push(chunk);
    const again = await completions.create({ ...base, messages });
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 30);
    const cancelled = await refusal(() =>
      completions.create({ messages: [{ role: 'user', content: 'Hi' }] }, { signal: controller.signal }),
    );
    const refused = {
      tools: await refusal(() => completions.create({ messages, tools: [] })),
      n: await refusal(() => completions.create({ messages, n: 2 })),
      image: await refusal(() => completions.create({ messages: [{ role: 'user', content: [{ type: 'image_url' }] }] })),
      last: await refusal(() => completions.create({ messages: [{ role: 'assistant', content: 'x' }] })),
    };
    await model.unload();
    return { whole, chunks, again, cancelled, refused };
  });
  const { whole, chunks, again, refused } = result;
  assert.match(whole.id, /^chatcmpl-/);
  assert.equal(whole.object, 'chat.completion');
  assert.equal(whole.model, 'any');
  assert.equal(whole.choices[0].message.role, 'assistant');
  assert.equal(whole.choices[0].finish_reason, 'length');
  assert.equal(whole.usage.completion_tokens, 12);
  assert.equal(chunks[0].choices[0].delta.role, 'assistant');
  assert.equal(chunks.at(-2).choices[0].finish_reason, 'length');
  assert.deepEqual(chunks.at(-1).choices, []);
  assert.equal(chunks.at(-1).usage.prompt_tokens_details.cached_tokens, whole.usage.total_tokens - 1);
  const text = chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('');
  assert.ok(text.length > 0);
  assert.equal(again.usage.completion_tokens, 12);
  assert.equal(result.cancelled.name, 'AbortError');
  assert.equal(refused.tools.code, 'bad-argument');
  assert.match(refused.tools.message, /'tools'/);
  assert.match(refused.n.message, /'n' can only be 1/);
  assert.match(refused.image.message, /reads text, and nothing else/);
  assert.match(refused.last.message, /must be the user's/);
});
