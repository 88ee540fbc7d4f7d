// What the wasm module reads a model from, and what the parts of the worker ask of one another.
import type { LoadPhase } from '../types.js';

/** Bytes that can be read at once and in any order: an OPFS file, a File of the person's, a test's array. */
export interface ByteSource {
  readonly size: number;
  /** After a read that failed: why, in a sentence; '' or absent otherwise. */
  readonly problem?: string;
  /** The address under which the store has it; absent where it is read from a file of the person's in place. */
  readonly storedAs?: string;
  /** What another worker opens the same by: a path in the private file system, or the file. */
  readonly elsewhere?: string[] | Blob;
  /** Fills `into` from `offset` on and returns the bytes read: fewer at the end or after an error. Never throws. */
  read(offset: number, into: Uint8Array): number;
  close(): void;
}

/** What the core says of a .linnet file's beginning. The only reader of the format is the core's. */
export interface FileLayout {
  name: string;
  fileBytes: number;
  /** Where metadata ends and the weights begin; the metadata has a checksum of its own, checked by the core. */
  weightsOffset: number;
  weightsBytes: number;
  /** One little-endian CRC-32C (u32) for each chunk of the weights, then one CRC-32C over those. */
  checksumsOffset: number;
  chunkBytes: number;
  chunks: number;
}

/** The few functions of the wasm module that storage needs. */
export interface Checksums {
  /** From the first 512 bytes; a sentence when they are not a model's. */
  fileLayout(header: Uint8Array): { layout: FileLayout } | { problem: string };
  /** Whether bytes [512, weightsOffset) are what the header says. '' or a sentence. */
  metadataProblem(header: Uint8Array, metadata: Uint8Array): string;
  /** CRC-32C (Castagnoli). */
  crc32c(bytes: Uint8Array): number;
}

/** Progress as a phase counts it; rate and time left are added where it is shown. */
export type ReportProgress = (phase: LoadPhase, loaded: number, total: number, resumedFrom: number) => void;
