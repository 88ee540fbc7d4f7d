// The worker's storage: models by address in the Origin Private File System.
import type { ByteSource, Checksums, ReportProgress } from '../worker/byte_source.js';
import type { StoredModel, VerifyResult } from '../types.js';

export interface ObtainOptions {
  connections: number;
  report: ReportProgress;
  signal: AbortSignal;
  checksums: Checksums;
  /** Loads the converter (the second wasm) when a GGUF file is met. */
  converter: () => Promise<Converter>;
}

export type PeekOptions = Pick<ObtainOptions, 'checksums' | 'signal'>;

export interface Store {
  /** The model of this address: from storage where it is complete, else downloaded (and taken up where it was left). */
  obtain(url: string, options: ObtainOptions): Promise<ByteSource>;
  /** A file of the person's: in place where it is a .linnet file; a GGUF file is converted into storage. */
  obtainFile(file: Blob, options: ObtainOptions): Promise<ByteSource>;
  /** What the plan of a model is made from, and no more: of a stored one or from its server; of a file of the person's. The
   *  weights cannot be read from it. */
  peek(url: string, options: PeekOptions): Promise<ByteSource>;
  peekFile(file: Blob, options: PeekOptions): Promise<ByteSource>;
  list(): Promise<StoredModel[]>;
  size(): Promise<{ usedBytes: number; freeBytes: number; persistent: boolean }>;
  verify(url: string, options: { checksums: Checksums; report: ReportProgress; signal: AbortSignal }): Promise<VerifyResult>;
  delete(url: string): Promise<void>;
}

/** Bytes of a GGUF that may still be on their way. */
export interface AsyncSource {
  readonly size: number;
  /** Exactly these bytes, when they are there: valid until the next read. Throws LinnetError or AbortError. */
  read(offset: number, bytes: number): Promise<Uint8Array>;
}

export interface ConvertedOutput {
  write(bytes: Uint8Array): void; // in order, valid during the call; throws LinnetError where the disk is full
}

export interface Converter {
  /** The same bytes that `linnet convert` writes. Memory stays bounded. `progress` gets bytes written and in all, and the
   *  conversion looks at `signal` at the same time. Notes: what a person should know. */
  convert(
    source: AsyncSource,
    fileName: string,
    output: ConvertedOutput,
    options: { progress: (done: number, total: number) => void; signal: AbortSignal },
  ): Promise<{ notes: string[] }>;
}
