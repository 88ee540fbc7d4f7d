// Decode and prefill of one build on one model:
// node --import ./as_browser.mjs bench_model.mjs MODULE.mjs THREADS MODEL.linnet [KERNELS] [PROMPT]
// KERNELS: best, or a table's name; PROMPT: tokens before the 32 that are decoded, default 128.
import { openFile, openModule } from './open_file.mjs';

const [, , modulePath, threadsText, modelPath, kernels = 'best', promptText = '128'] = process.argv;
const threads = Number(threadsText);
const prompt = Number(promptText);
const linnet = await openModule(modulePath, { linnetThreads: threads });
const source = openFile(modelPath);
const model = new linnet.Model();
const opened = model.open(source, {
  context: prompt + 64,
  threads,
  verify: 0,
  ...(kernels === 'best' ? {} : { kernels }),
});
if (opened.status !== 'ok') throw new Error(opened.text);
const { session } = model.openSession();
const { vocabulary, kernels: used } = model.info();
const tokens = Int32Array.from({ length: prompt }, (_, i) => (i * 97 + 3) % Math.min(vocabulary, 30000));
const rates = { prefill: [], decode: [] };
for (let round = 0; round < 3; ++round) {
  model.rewind(session, 0);
  let start = performance.now();
  while (!model.evaluate(session, tokens, 10000).done);
  rates.prefill.push((tokens.length / (performance.now() - start)) * 1000);
  model.begin(session, { temperature: 0, maxTokens: 32, ignoreEnd: true });
  start = performance.now();
  while (model.step(session).finish === undefined);
  rates.decode.push((31 / (performance.now() - start)) * 1000);
}
const median = (values) => values.sort((a, b) => a - b)[1].toFixed(1);
console.log(
  `${used}, ${threads} thread(s): prefill ${median(rates.prefill)} tok/s, decode ${median(rates.decode)} tok/s, ` +
    `${((opened.weightBytesPerToken * median(rates.decode)) / 1e9).toFixed(1)} GB/s of weights`,
);
process.exit(0);
