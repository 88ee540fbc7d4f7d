// How long a slice of work lasts, and so how soon a stop is heard where no memory is shared. Prints the longest and the middle call of
// a prefill of 128 tokens and of eight decoded.
// node --import ./as_browser.mjs bench_slices.mjs MODULE.mjs THREADS MODEL.linnet [MILLISECONDS] [KERNELS]
import { openFile, openModule } from './open_file.mjs';

const [, , modulePath, threadsText, modelPath, millisecondsText, kernels] = process.argv;
const threads = Number(threadsText);
const milliseconds = Number(millisecondsText ?? 30);
const linnet = await openModule(modulePath, { linnetThreads: threads });
const source = openFile(modelPath);
const model = new linnet.Model();
const opened = model.open(source, { context: 256, threads, verify: 0, ...(kernels ? { kernels } : {}) });
if (opened.status !== 'ok') throw new Error(opened.text);
const { session } = model.openSession();
const info = model.info();
const tokens = Int32Array.from({ length: 128 }, (_, i) => (i * 97 + 3) % Math.min(info.vocabulary, 30000));
const print = (what, calls, count, total) => {
  calls.sort((a, b) => a - b);
  console.log(
    `${what}: ${((count / total) * 1000).toFixed(1)} tok/s, ${calls.length} calls of ${milliseconds} ms, middle ` +
      `${calls[calls.length >> 1].toFixed(1)}, longest ${calls.at(-1).toFixed(1)}`,
  );
};
const timed = (calls, call) => {
  const start = performance.now();
  const answer = call();
  calls.push(performance.now() - start);
  if (answer.status !== 'ok') throw new Error(answer.text);
  return answer;
};
console.log(`${info.name}, ${info.kernels}, ${info.threads} thread(s)`);
let calls = [];
let start = performance.now();
while (!timed(calls, () => model.evaluate(session, tokens, milliseconds)).done);
print('prefill', calls, tokens.length, performance.now() - start);
model.begin(session, { temperature: 0, maxTokens: 8, ignoreEnd: true });
calls = [];
start = performance.now();
while (timed(calls, () => model.step(session, milliseconds)).finish === undefined);
print('decode', calls, 7, performance.now() - start);
process.exit(0);
