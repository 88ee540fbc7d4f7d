// Linnet.bench: how fast a model runs in this browser, beside how fast this machine reads and multiplies in it at all.
import { LinnetError, abortReason } from './errors.js';
import { heedSignal, load, plan } from './load.js';
import { checkBench } from './options.js';
import type { BenchOptions, BenchResult, LoadOptions, ModelSource } from './types.js';

const seconds = (start: number): number => (performance.now() - start) / 1000;

export async function bench(source: ModelSource, options: BenchOptions = {}): Promise<BenchResult> {
  const { prompts, decode, rounds } = checkBench(options);
  const { onProgress, signal, prompts: asked, decode: _, rounds: __, ...rest } = options;
  if (signal?.aborted === true) throw abortReason(signal);
  const heeded = signal === undefined ? {} : { signal };
  const { context } = await plan(source, heeded);
  const lengths = asked === undefined ? prompts.filter((count) => count + decode <= context) : prompts;
  const longest = Math.max(...lengths);
  if (lengths.length === 0 || longest + decode > context) {
    throw new LinnetError(
      'does-not-fit',
      `A prompt of ${lengths.length === 0 ? 1 : longest} tokens and ${decode} after it do not fit this model's ${context}: ` +
        "ask for fewer in 'prompts' or 'decode'.",
    );
  }
  const loading: LoadOptions = { ...rest, ...heeded, context: longest + decode };
  const say = (done: number): void => onProgress?.({ phase: 'start', done });
  // Twice from nothing, a new worker each time: with the system's cache as it is, and with the file in it.
  const start = async (share: number): ReturnType<typeof load> =>
    load(source, { ...loading, onProgress: ({ loaded, total }) => say(share + (total > 0 ? loaded / total / 2 : 0)) });
  let begun = performance.now();
  const first = await start(0);
  try {
    await first.logitsHash([0], heeded);
  } finally {
    await first.unload();
  }
  const cold = seconds(begun);
  begun = performance.now();
  const model = await start(0.5);
  try {
    const opened = seconds(begun);
    await model.logitsHash([0], heeded);
    const times = { cold, cached: seconds(begun), loading: opened };
    const name = nameOf(source);
    const call = model.connection.call(
      'bench',
      { prompts: lengths, decode, rounds, name, load: times },
      { ...heeded, event: ({ done, total }) => onProgress?.({ phase: 'measure', done: done / total }) },
    );
    return await heedSignal(model.connection, call, signal);
  } finally {
    await model.unload();
  }
}

/** The file's, as the command has it; '' where there is none. */
function nameOf(source: ModelSource): string {
  if (source instanceof Blob) return source instanceof File ? source.name.replace(/\.linnet$/i, '') : '';
  const last = String(source).split(/[?#]/)[0]?.split('/').pop() ?? '';
  try {
    return decodeURIComponent(last).replace(/\.\w+$/, '');
  } catch {
    return last;
  }
}
