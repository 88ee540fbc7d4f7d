// The worker's end of the reader: starting it, what went wrong with it, ending it.
import { LinnetError } from '../errors.js';
import { READER_NAME, type ReaderAnswer, type ReaderSetup } from './serve.js';
import * as words from './words.js';

const START_MILLISECONDS = 10_000;
const END_MILLISECONDS = 1000;

export class Reader {
  private readonly words: Int32Array;

  private constructor(
    private readonly worker: Worker,
    setup: ReaderSetup,
  ) {
    this.words = new Int32Array(setup.memory.buffer, setup.address, words.WORDS);
  }

  /** Null where the browser gives no further worker, or that one cannot open the storage: the module then reads by itself. */
  static async start(setup: ReaderSetup): Promise<Reader | null> {
    let worker: Worker;
    try {
      worker = new Worker(/* webpackIgnore: true */ /* @vite-ignore */ location.href, { type: 'module', name: READER_NAME });
    } catch {
      return null;
    }
    const ready = await new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => resolve(false), START_MILLISECONDS);
      const done = (started: boolean): void => (clearTimeout(timer), resolve(started));
      worker.onmessage = ({ data }: MessageEvent<ReaderAnswer>) => done('ready' in data);
      worker.onerror = (event) => (event.preventDefault?.(), done(false));
      worker.postMessage(setup);
    });
    worker.onmessage = worker.onerror = null;
    if (ready) return new Reader(worker, setup);
    worker.terminate();
    return null;
  }

  /** Why the last transfer failed; undefined: none has. */
  get problem(): LinnetError | undefined {
    const word = Atomics.load(this.words, words.PROBLEM);
    const result = word & 0xff;
    if (result === words.DONE) return undefined;
    if (result === words.SILENT) {
      return new LinnetError('storage', 'The browser’s storage does not answer any more. Load the model again.');
    }
    return word >> 8 === words.READ_MODEL ? modelProblem(result) : scratchProblem(result);
  }

  end(): void {
    Atomics.store(this.words, words.ENDING, 1);
    Atomics.add(this.words, words.SIGNAL, 1);
    Atomics.notify(this.words, words.SIGNAL);
    // It closes its files before it ends: a worker that is terminated keeps them open a little longer.
    if (Atomics.load(this.words, words.ENDED) === 0) Atomics.wait(this.words, words.ENDED, 0, END_MILLISECONDS);
    this.worker.terminate();
    Atomics.store(this.words, words.ENDED, 1);
  }
}

function modelProblem(result: number): LinnetError {
  if (result === words.SHORT) {
    return new LinnetError('storage', 'The model’s file is shorter than it was: delete the model and load it again.');
  }
  if (result === words.GONE) {
    return new LinnetError('storage', 'The model’s file is gone: moved, renamed or deleted. Load or choose it again.');
  }
  return new LinnetError('storage', 'The model’s file cannot be read any more: it was changed, or its disk was taken away.');
}

export function scratchProblem(result: number): LinnetError {
  if (result === words.FULL) {
    return new LinnetError(
      'storage-full',
      'This browser has no more room for the conversation’s keys and values: delete stored models, or load with more memory or ' +
        'a shorter context.',
    );
  }
  return new LinnetError('storage', 'What was put aside of the conversation cannot be read back. Load the model again.');
}
