// Stopping: from the call to abort() to the end of the answer in the page, on a model of which one token takes longer than that.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { launch } from './lib/chromium.mjs';
import { slowest } from './lib/models.mjs';
import { loadWell, openPackage, startPackage } from './lib/package.mjs';

const MOST = 200; // milliseconds
const PROMPT = 'etaoin shrdlu '.repeat(60);
let browser;

before(async () => {
  browser = await launch();
});
after(async () => {
  await browser?.close();
});

/** All but one of the times are below the limit: another program may have had the processor. */
function check(t, times) {
  const text = times.map((time) => time.toFixed(0)).join(', ');
  t.diagnostic(`stopped after ${text} ms`);
  assert.ok(times.sort((a, b) => a - b).at(-2) < MOST, `${text} ms`);
}

for (const isolated of [true, false]) {
  describe(isolated ? 'with SharedArrayBuffer' : 'without SharedArrayBuffer', () => {
    let server;
    before(async () => {
      server = await startPackage({ isolated });
      server.file('/slow.linnet', slowest());
    });
    after(async () => {
      await server?.close();
    });

    for (const threads of isolated ? [1, 2] : [1]) {
      describe(`${threads} thread(s)`, () => {
        let page, tokenMilliseconds;
        before(async () => {
          page = await openPackage(browser, server);
          assert.equal(await page.evaluate(() => crossOriginIsolated), isolated);
          await loadWell(page, '/slow.linnet', { kernels: 'scalar', threads, context: 1024 });
          tokenMilliseconds = await page.evaluate(async () => {
            globalThis.session = await globalThis.model.session({ sampling: { temperature: 0 } });
            const reply = await globalThis.session.prompt('Hello', { maxTokens: 4 });
            return 1000 / reply.timings.decodeTokensPerSecond;
          });
        });
        after(async () => {
          await page?.evaluate(() => globalThis.model?.unload()).catch(() => {});
          await page?.close();
        });

        /** Milliseconds from abort() to the reply, of an answer that is stopped `after` its first event of `when`. */
        const stopped = (when, prompt, delay) =>
          page.evaluate(
            async ([when, prompt, delay]) => {
              const session = await globalThis.model.session({ sampling: { temperature: 0 } });
              const controller = new AbortController();
              let at;
              const abort = () =>
                setTimeout(() => {
                  at = performance.now();
                  controller.abort();
                }, delay);
              let armed = false;
              const arm = () => {
                if (!armed) abort();
                armed = true;
              };
              const stream = session.stream(prompt, {
                signal: controller.signal,
                maxTokens: 200,
                onPrefill: () => when === 'prefill' && arm(),
              });
              if (when === 'at once') arm();
              let text = '';
              try {
                for await (const piece of stream) {
                  text += piece;
                  if (when === 'decode') arm();
                }
              } catch (error) {
                if (error.name !== 'AbortError') throw error;
              }
              const milliseconds = performance.now() - at;
              // It can be asked again at once, and gives the same as one that was never stopped.
              const reply = await session.prompt('And?', { maxTokens: 1 });
              await session.close();
              return { milliseconds, text, answered: reply.usage.completionTokens };
            },
            [when, prompt, delay],
          );

        test('in prefill', async (t) => {
          const times = [];
          for (const delay of [0, 30, 60, 100, 170]) {
            const { milliseconds, text, answered } = await stopped('prefill', PROMPT, delay);
            assert.equal(text, '');
            assert.equal(answered, 1);
            times.push(milliseconds);
          }
          check(t, times);
        });

        test('before prefill has said anything', async (t) => {
          const times = [];
          for (const delay of [0, 20, 100]) times.push((await stopped('at once', PROMPT, delay)).milliseconds);
          check(t, times);
        });

        test('in decode, in the middle of a token', async (t) => {
          t.diagnostic(`one token takes ${tokenMilliseconds.toFixed(0)} ms`);
          const times = [];
          for (const delay of [10, 40, 70, 100, 130]) {
            const { milliseconds, text, answered } = await stopped('decode', 'Hello', delay);
            assert.ok(text.length > 0);
            assert.equal(answered, 1);
            times.push(milliseconds);
          }
          check(t, times);
        });

        test('by leaving the loop', async () => {
          const result = await page.evaluate(async () => {
            const session = await globalThis.model.session({ sampling: { temperature: 0 } });
            let at;
            const stream = session.stream('Hello', { maxTokens: 200 });
            for await (const piece of stream) {
              at = performance.now();
              if (piece.length >= 0) break;
            }
            const reply = await stream.reply;
            const milliseconds = performance.now() - at;
            await session.close();
            return { milliseconds, finish: reply.finish };
          });
          assert.equal(result.finish, 'cancelled');
          assert.ok(result.milliseconds < MOST, `${result.milliseconds.toFixed(0)} ms`);
        });
      });
    }
  });
}
