// GGUF to .linnet in the worker: the converter's wasm module, fed from a source whose bytes may still be on their way.
import { abortReason, LinnetError, type ErrorCode } from '../errors.js';
import type { AsyncSource, Converter, ConvertedOutput } from '../store/interface.js';
import type { CreateModule } from '../worker/module.js';
import { pause } from '../worker/pause.js';
import { instantiate } from '../worker/start_module.js';

/** What the module answers; the words of `status` are wasm/converter's. */
interface Answer {
  status: 'ok' | 'io' | 'cancelled' | 'bad-file' | 'does-not-fit' | 'unsupported' | 'bad-argument';
  text: string;
  notes: string[];
}

interface ConvertModule {
  wasmMemory: WebAssembly.Memory;
  convert(host: Host, fileName: string): Promise<Answer>;
}

/** How reads, writes and pauses end: the numbers of Outcome in wasm/converter/host_streams.h. */
const enum Outcome {
  done = 0,
  failed = 1,
  cancelled = 2,
}

/** The event loop gets its turn at least this often, so that a stop is heard well within 200 ms. */
const LONGEST_WITHOUT_PAUSE_MS = 50;

/** What the module drives while it converts. It keeps the first error: the module itself only hears that there was one. */
class Host {
  readonly size: number;
  error: unknown = undefined;
  failed = false;
  memory: WebAssembly.Memory | undefined;
  private lastPause = performance.now();
  /** Ends the read that is waited for. */
  private interrupt = (): void => {};
  private readonly onAbort = (): void => this.interrupt();

  constructor(
    private readonly source: AsyncSource,
    private readonly output: ConvertedOutput,
    private readonly report: (done: number, total: number) => void,
    private readonly signal: AbortSignal,
  ) {
    this.size = source.size;
    signal.addEventListener('abort', this.onAbort, { once: true });
  }

  close(): void {
    this.signal.removeEventListener('abort', this.onAbort);
  }

  async read(offset: number, bytes: number, address: number): Promise<Outcome> {
    try {
      const read = await this.unlessAborted(this.source.read(offset, bytes));
      if (read.length !== bytes) {
        throw new LinnetError(
          'network',
          `The GGUF file ended early: ${bytes} bytes were expected at byte ${offset} and ${read.length} came.`,
        );
      }
      new Uint8Array(this.memory!.buffer).set(read, address);
    } catch (error) {
      return this.fail(error);
    }
    return this.isTimeToPause() ? this.pause() : Outcome.done;
  }

  write(bytes: Uint8Array): Outcome {
    try {
      this.output.write(bytes);
      return Outcome.done;
    } catch (error) {
      return this.fail(error);
    }
  }

  /** Whether pause() is to be called. */
  progress(done: number, total: number): boolean {
    try {
      this.report(done, total);
    } catch (error) {
      this.fail(error);
      return true;
    }
    return this.signal.aborted || this.isTimeToPause();
  }

  async pause(): Promise<Outcome> {
    if (!this.failed && !this.signal.aborted) {
      await pause();
      this.lastPause = performance.now();
    }
    if (this.signal.aborted) this.fail(abortReason(this.signal));
    return this.failed ? Outcome.failed : Outcome.done;
  }

  /** Not a race with one promise for the whole conversion: that would keep what every read brought. */
  private unlessAborted<Value>(value: Promise<Value>): Promise<Value> {
    return new Promise((resolve, reject) => {
      this.interrupt = () => reject(abortReason(this.signal));
      if (this.signal.aborted) this.interrupt();
      value.then(resolve, reject);
    });
  }

  private isTimeToPause(): boolean {
    return performance.now() - this.lastPause >= LONGEST_WITHOUT_PAUSE_MS;
  }

  private fail(error: unknown): Outcome {
    if (!this.failed) {
      this.failed = true;
      this.error = error;
    }
    return this.signal.aborted ? Outcome.cancelled : Outcome.failed;
  }
}

/** The module's own way of saying that its memory is used up (linnet_convert.cpp). */
function isOutOfMemory(error: unknown): boolean {
  return error instanceof RangeError || (error instanceof Error && error.name === 'LinnetOutOfMemory');
}

async function compile(url: string): Promise<WebAssembly.Module> {
  const what = 'The converter for GGUF files (linnet-convert.wasm)';
  let response: Response;
  try {
    response = await fetch(url);
  } catch (cause) {
    throw new LinnetError('network', `${what} could not be fetched. Check the connection and try again.`, { cause });
  }
  if (!response.ok) {
    throw new LinnetError(
      response.status === 404 ? 'not-found' : 'network',
      `${what} could not be fetched: the server answered ${response.status}. It has to lie beside the package's other files.`,
    );
  }
  try {
    // By its bytes, and not by streaming: that asks for a Content-Type that not every static host sends.
    return await WebAssembly.compile(await response.arrayBuffer());
  } catch (cause) {
    throw new LinnetError('unsupported', `${what} is not one that this browser can run.`, { cause });
  }
}

/** Loads the second wasm. `glue` and `wasm` are addresses, so that a bundler may have renamed both. */
export async function createConverter(urls: { glue: string; wasm: string }): Promise<Converter> {
  const [glue, compiled] = await Promise.all([
    import(/* webpackIgnore: true */ /* @vite-ignore */ urls.glue).catch((cause: unknown) => {
      throw new LinnetError('network', 'The converter for GGUF files (linnet-convert.mjs) could not be loaded.', { cause });
    }) as Promise<{ default: CreateModule<ConvertModule> }>,
    compile(urls.wasm),
  ]);

  return {
    async convert(source, fileName, output, { progress, signal }) {
      if (signal.aborted) throw abortReason(signal);
      const host = new Host(source, output, progress, signal);
      let answer: Answer;
      try {
        // An instance for each conversion: its memory is given back, and after an error nothing of it is left.
        const module = await instantiate(glue.default, compiled);
        host.memory = module.wasmMemory;
        answer = await module.convert(host, fileName);
      } catch (cause) {
        if (host.failed) throw host.error;
        if (isOutOfMemory(cause)) {
          const text =
            'There is not enough memory to convert this GGUF file here. Convert it on a computer with "linnet convert".';
          throw new LinnetError('does-not-fit', text, { cause });
        }
        const text = 'The conversion of this GGUF file broke off: the file is probably damaged. Download it again.';
        throw new LinnetError('bad-file', text, { cause });
      } finally {
        host.close();
      }
      if (host.failed) throw host.error;
      if (answer.status !== 'ok') {
        const code: ErrorCode = answer.status === 'io' || answer.status === 'cancelled' ? 'worker' : answer.status;
        throw new LinnetError(code, answer.text);
      }
      return { notes: answer.notes };
    },
  };
}
