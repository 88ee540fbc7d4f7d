// A GGUF file on its way into storage, read by the converter at the same time: what it waits for is fetched first.
import { abortReason, LinnetError } from '../errors.js';
import type { Bitmap, Grid } from './bitmap.js';
import type { DataFile } from './data_file.js';
import type { AsyncSource } from './interface.js';

interface Waiting {
  pieces: number[];
  resolve: () => void;
  reject: (error: unknown) => void;
}

export class Scratch implements AsyncSource {
  private waiting: Waiting[] = [];
  private failure: unknown;

  constructor(
    private readonly file: DataFile,
    private readonly grid: Grid,
    private readonly held: Bitmap,
    private readonly signal: AbortSignal,
    /** Told which pieces are waited for, most urgent first. */
    private readonly wants: (pieces: number[]) => void,
  ) {
    signal.addEventListener('abort', () => this.fail(abortReason(signal)), { once: true });
  }

  get size(): number {
    return this.grid.bytes;
  }

  async read(offset: number, bytes: number): Promise<Uint8Array> {
    if (!(offset >= 0 && bytes >= 0 && offset + bytes <= this.size)) {
      throw new LinnetError('bad-file', 'The GGUF file refers to bytes that it does not have: it is damaged or not whole.');
    }
    if (this.failure !== undefined) throw this.failure;
    if (this.signal.aborted) throw abortReason(this.signal);
    const pieces: number[] = [];
    const end = Math.ceil((offset + bytes) / this.grid.pieceBytes);
    for (let piece = Math.floor(offset / this.grid.pieceBytes); piece < end; ++piece) {
      if (!this.held.has(piece)) pieces.push(piece);
    }
    if (pieces.length > 0) {
      await new Promise<void>((resolve, reject) => {
        this.waiting.push({ pieces, resolve, reject });
        this.wants(this.waiting.flatMap((one) => one.pieces));
      });
    }
    return this.file.readPiece(offset, bytes);
  }

  /** A piece is there. */
  came(piece: number): void {
    this.waiting = this.waiting.filter((one) => {
      one.pieces = one.pieces.filter((missing) => missing !== piece && !this.held.has(missing));
      if (one.pieces.length === 0) one.resolve();
      return one.pieces.length > 0;
    });
  }

  /** No more will come: whoever waits, and whoever asks from now on, gets this error. */
  fail(error: unknown): void {
    this.failure ??= error;
    for (const one of this.waiting) one.reject(error);
    this.waiting = [];
  }
}
