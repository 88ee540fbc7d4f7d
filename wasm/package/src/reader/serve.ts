// The reader: a worker that reads a model's storage straight into the module's memory while the module's own threads compute. It is
// the same file as the worker with the model, started under another name, so that there is no further file to serve or to bundle.
//
// It serves one request after the other, in the order in which they were made, and sleeps in between without coming back to its
// event loop: who wants it to end says so in the shared words.
import { openPath, scratchHandle } from '../store/reader.js';
import { isNamed } from '../store/folders.js';
import { readAt, writeAt } from '../store/sync_access.js';
import type { ByteSource } from '../worker/byte_source.js';
import * as words from './words.js';

export interface ReaderSetup {
  memory: WebAssembly.Memory;
  /** Of the first word, in bytes. */
  address: number;
  model: string[] | Blob;
  scratch: string[] | null;
}

export type ReaderAnswer = { ready: true } | { failed: string };

export const READER_NAME = 'linnet-reader';

export function awaitReaderSetup(): void {
  const scope = globalThis as unknown as {
    postMessage(message: ReaderAnswer): void;
    onmessage: ((event: MessageEvent<ReaderSetup>) => void) | null;
  };
  scope.onmessage = async ({ data }) => {
    scope.onmessage = null;
    let service: Service;
    try {
      service = await Service.open(data);
    } catch (error) {
      scope.postMessage({ failed: error instanceof Error ? error.message : String(error) });
      return;
    }
    scope.postMessage({ ready: true });
    await service.run();
  };
}

class Service {
  private readonly words: Int32Array;

  private constructor(
    private readonly setup: ReaderSetup,
    private readonly model: ByteSource,
    private readonly scratch: FileSystemSyncAccessHandle | null,
  ) {
    this.words = new Int32Array(setup.memory.buffer, setup.address, words.WORDS);
  }

  static async open(setup: ReaderSetup): Promise<Service> {
    const model = await openPath(setup.model);
    return new Service(setup, model, setup.scratch === null ? null : await scratchHandle(setup.scratch));
  }

  async run(): Promise<void> {
    for (;;) {
      const seen = Atomics.load(this.words, words.SIGNAL);
      if (Atomics.load(this.words, words.ENDING) !== 0) break;
      const request = this.oldest();
      if (request < 0) Atomics.wait(this.words, words.SIGNAL, seen);
      else await this.serve(request);
    }
    this.model.close();
    this.scratch?.close();
    Atomics.store(this.words, words.ENDED, 1);
    Atomics.notify(this.words, words.ENDED);
    close();
  }

  /** Where the request begins that has waited longest; -1: there is none. */
  private oldest(): number {
    let found = -1;
    for (let i = 0; i < words.REQUESTS; ++i) {
      const at = words.FIRST_REQUEST + i * words.REQUEST_WORDS;
      if (Atomics.load(this.words, at + words.STATE) !== words.ASKED) continue;
      if (found < 0 || this.word(at + words.NUMBER) < this.word(found + words.NUMBER)) found = at;
    }
    return found;
  }

  private async serve(request: number): Promise<void> {
    const result = await this.transfer(request);
    if (result !== words.DONE) {
      Atomics.store(this.words, words.PROBLEM, result | (this.word(request + words.KIND) << 8));
    }
    this.words[request + words.RESULT] = result;
    Atomics.store(this.words, request + words.STATE, words.ANSWERED);
    Atomics.notify(this.words, request + words.STATE);
  }

  private async transfer(request: number): Promise<number> {
    const kind = this.word(request + words.KIND);
    const offset = this.word(request + words.OFFSET_HIGH) * 2 ** 32 + (this.word(request + words.OFFSET_LOW) >>> 0);
    try {
      const memory = await this.view(this.word(request + words.ADDRESS) >>> 0, this.word(request + words.BYTES) >>> 0);
      let done = 0;
      if (kind === words.READ_MODEL) done = this.model.read(offset, memory);
      else if (this.scratch === null) return words.UNREADABLE;
      else if (kind === words.READ_SCRATCH) done = readAt(this.scratch, offset, memory);
      else done = writeAt(this.scratch, offset, memory);
      if (done === memory.length) return words.DONE;
      if (kind === words.READ_MODEL && (this.model.problem ?? '') !== '') return words.UNREADABLE;
      return kind === words.WRITE_SCRATCH ? words.FULL : words.SHORT;
    } catch (error) {
      if (isNamed(error, 'QuotaExceededError')) return words.FULL;
      return isNamed(error, 'NotFoundError') ? words.GONE : words.UNREADABLE;
    }
  }

  /** The module's memory may have grown a moment ago, in another thread: an engine tells of it between two tasks. */
  private async view(address: number, bytes: number): Promise<Uint8Array> {
    for (let tries = 0; ; ++tries) {
      const { buffer } = this.setup.memory;
      if (address + bytes <= buffer.byteLength || tries === 100) return new Uint8Array(buffer, address, bytes);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  private word(at: number): number {
    return this.words[at] as number;
  }
}
