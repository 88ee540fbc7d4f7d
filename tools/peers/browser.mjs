// Times the package and wllama in headless Chromium, in turns: node browser.mjs FOLDER GGUF LINNET --rounds N --threads 1,2
// --prompt N --decode N --runtimes NAME,... FOLDER has node_modules with both versions of wllama, under the names wllama-2 and
// wllama-3; beside it stands what runs llama.cpp, where that is among the runtimes. Prints one JSON object a measurement;
// compare_browser.sh makes a table of them.
//
// Each runtime and number of threads has a tab of its own in which its model stays open. Every measurement reads a prompt that
// begins differently, so that nothing of it is held from before.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { launch } from '../../tests/browser/lib/chromium.mjs';
import { startServer } from '../../tests/browser/lib/server.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '3' },
    threads: { type: 'string', default: '1,2' },
    prompt: { type: 'string', default: '64' },
    decode: { type: 'string', default: '24' },
    runtimes: { type: 'string', default: 'linnet,wllama-2,wllama-3' },
  },
});
const [folder, gguf, linnet] = positionals.map((path) => resolve(path));
const here = fileURLToPath(new URL('.', import.meta.url));
const promptTokens = Number(values.prompt);
const decodedTokens = Number(values.decode);
// Room for both, in the steps of llama.cpp's own; a small model has no more than 256.
const context = Math.ceil((promptTokens + decodedTokens + 1) / 256) * 256;

/** `tokens` tokens for every vocabulary that has each of the words as one token; the first of them is the beginning of a text. */
const words = readFileSync(join(here, 'words.txt'), 'utf8').trim().split(' ');
const prompt = (round, tokens) =>
  Array.from({ length: tokens - 1 }, (_, i) => words[(i * 7 + round * 5) % words.length]).join(' ');

const server = await startServer({ isolated: true });
server
  .folder('/linnet/', join(here, '../../wasm/package/dist'))
  .folder('/modules/', join(folder, 'node_modules'))
  .file('/page.html', join(here, 'browser_page.html'))
  .file('/browser_page.mjs', join(here, 'browser_page.mjs'));

/** llama.cpp's figures, of its AVX2 build, for as many tokens: a process of its own, which warms up and measures once. */
function native(threads) {
  const program = join(folder, '../llama_cpp.py');
  const given = ['--prompt', values.prompt, '--decode', values.decode, '--threads', String(threads), '--rounds', '1'];
  const report = JSON.parse(execFileSync('python3', [program, gguf, ...given, '--variant', 'haswell'], { encoding: 'utf8' }));
  return {
    prefill: report.prefill_tokens_per_second,
    decode: report.decode_tokens_per_second,
    promptTokens: report.prompt,
    decodedTokens: report.decode,
    variant: report.variant,
  };
}

const browser = await launch();
try {
  const tabs = [];
  for (const threads of values.threads.split(',').map(Number)) {
    for (const runtime of values.runtimes.split(',')) {
      if (runtime === 'llama.cpp') {
        tabs.push({ runtime, threads });
        continue;
      }
      const page = await browser.page(server.url('/page.html'));
      page.setDefaultTimeout(0);
      await page.waitForFunction(() => globalThis.ready);
      await page.setInputFiles('#model', runtime.startsWith('linnet') ? linnet : gguf);
      const loaded = await page.evaluate((given) => globalThis.load(...given), [runtime, threads, context, prompt(0, 8)]);
      console.error(`${runtime}, ${threads} thread(s): ${loaded}`);
      tabs.push({ page, runtime, threads });
    }
  }
  for (let round = 1; round <= Number(values.rounds); ++round) {
    for (const { page, runtime, threads } of tabs) {
      await page?.bringToFront();
      const rates =
        page === undefined
          ? native(threads)
          : await page.evaluate((given) => globalThis.measure(...given), [prompt(round, promptTokens), decodedTokens]);
      console.log(JSON.stringify({ runtime, threads, round, ...rates }));
    }
  }
} finally {
  await browser.close();
  await server.close();
}
