// What is known of a stored model, kept beside its data so that a download goes on after a crash.
//
// The record is written in turn to two files, each with a sequence number and a hash: a browser that is killed in the middle
// of a write leaves the other one whole. It says that a chunk is there only after the chunk has been flushed.
import type { FileLayout } from '../worker/byte_source.js';
import { Bitmap, Grid } from './bitmap.js';
import { isNamed, storageError, whileHeld, type FileName } from './folders.js';

/** What a server says of a file, to tell whether it is still the same. Empty and 0: it does not say. */
export interface Validators {
  size: number;
  etag: string;
  lastModified: string;
}

interface Known {
  url: string;
  name: string;
  /** 'gguf': `data` is made from `source`, which is fetched (http) or was chosen by the person (file:). */
  kind: 'linnet' | 'gguf';
  storedAt: number;
  validators: Validators;
  /** Of the .linnet file; 0 while they are not known. */
  fileBytes: number;
  weightsOffset: number;
  weightsBytes: number;
  chunkBytes: number;
  /** Header, metadata and checksums stand in `data` and were verified. */
  framed: boolean;
  /** Was whole once. */
  finished: boolean;
  /** Of a GGUF: its first bytes' SHA-256, and how it is cut. */
  sourceHash: string;
  sourcePieceBytes: number;
}

const magic = 0x4c4e5453;
const prefixBytes = 20; // magic, sequence, JSON bytes, bitmap bytes, hash
const largest = 16 * 1024 * 1024; // of a record: a chunk bitmap of 32 TB
const stateNames: readonly FileName[] = ['state-0', 'state-1'];

export class Entry {
  private sequence = 0;
  private handles: FileSystemSyncAccessHandle[] | undefined;
  chunks = new Bitmap(0);
  sourcePieces = new Bitmap(0);
  known: Known;

  constructor(
    readonly folder: FileSystemDirectoryHandle,
    known: Pick<Known, 'url' | 'name' | 'kind' | 'validators'>,
  ) {
    this.known = {
      storedAt: Date.now(),
      fileBytes: 0,
      weightsOffset: 0,
      weightsBytes: 0,
      chunkBytes: 0,
      framed: false,
      finished: false,
      sourceHash: '',
      sourcePieceBytes: 0,
      ...known,
    };
  }

  get complete(): boolean {
    return this.known.finished && this.known.framed && this.known.fileBytes > 0 && this.chunks.full;
  }

  get chunkGrid(): Grid {
    return new Grid(this.known.weightsOffset, this.known.weightsBytes, this.known.chunkBytes || 1);
  }

  get sourceGrid(): Grid {
    return new Grid(0, this.known.validators.size, this.known.sourcePieceBytes || 1);
  }

  /** Takes over where the parts of a .linnet file lie. Which chunks of it are there, `chunks` says. */
  takeLayout(layout: FileLayout, chunks = new Bitmap(layout.chunks)): void {
    const { fileBytes, weightsOffset, weightsBytes, chunkBytes } = layout;
    Object.assign(this.known, { fileBytes, weightsOffset, weightsBytes, chunkBytes });
    this.chunks = chunks;
  }

  /** Bytes that are there: of the model, or of the GGUF file that it is made from. */
  get heldBytes(): number {
    const frame = this.known.framed ? this.known.fileBytes - this.known.weightsBytes : 0;
    const source = this.known.sourcePieceBytes > 0 ? this.sourceGrid.heldBytes(this.sourcePieces) : 0;
    return frame + this.chunkGrid.heldBytes(this.chunks) + source;
  }

  async save(): Promise<void> {
    const opened = this.handles === undefined;
    try {
      if (opened) await this.open();
      this.write();
    } finally {
      if (opened) this.close();
    }
  }

  /** Keeps the record's files open, so that writing it waits for nothing while a download goes on. */
  async open(): Promise<void> {
    const handles: FileSystemSyncAccessHandle[] = [];
    this.handles = handles;
    try {
      for (const name of stateNames) {
        const file = await this.folder.getFileHandle(name, { create: true });
        handles.push(await whileHeld(() => file.createSyncAccessHandle()));
      }
    } catch (error) {
      throw toldLater(error);
    }
  }

  close(): void {
    for (const handle of this.handles ?? []) handle.close();
    this.handles = undefined;
  }

  /** Between open() and close(). */
  write(): void {
    const record = this.record(++this.sequence);
    const handle = this.handles![this.sequence % stateNames.length]!;
    try {
      handle.truncate(record.length);
      handle.write(record, { at: 0 });
      handle.flush();
    } catch (error) {
      throw toldLater(error);
    }
  }

  private record(sequence: number): Uint8Array {
    const json = new TextEncoder().encode(JSON.stringify(this.known));
    const bitmaps = this.chunks.bytes.length + this.sourcePieces.bytes.length;
    const record = new Uint8Array(prefixBytes + json.length + bitmaps);
    record.set(json, prefixBytes);
    record.set(this.chunks.bytes, prefixBytes + json.length);
    record.set(this.sourcePieces.bytes, prefixBytes + json.length + this.chunks.bytes.length);
    const prefix = new DataView(record.buffer);
    prefix.setUint32(0, magic, true);
    prefix.setUint32(4, sequence, true);
    prefix.setUint32(8, json.length, true);
    prefix.setUint32(12, this.sourcePieces.length, true);
    prefix.setUint32(16, hashOf(record), true);
    return record;
  }

  /** The newest whole record; null where there is none. */
  static async load(folder: FileSystemDirectoryHandle): Promise<Entry | null> {
    let newest: Entry | null = null;
    for (const name of stateNames) {
      // A record that is written at this moment by another tab cannot be read; the other one can.
      const record = await folder
        .getFileHandle(name)
        .then((handle) => handle.getFile())
        .then((file) => (file.size <= largest ? file.arrayBuffer() : null))
        .catch(() => null);
      const entry = record === null ? null : parse(folder, new Uint8Array(record));
      if (entry !== null && (newest === null || entry.sequence > newest.sequence)) newest = entry;
    }
    return newest;
  }

  /** For `parse` alone. */
  continueFrom(sequence: number): void {
    this.sequence = sequence;
  }
}

function parse(folder: FileSystemDirectoryHandle, record: Uint8Array<ArrayBuffer>): Entry | null {
  if (record.length < prefixBytes) return null;
  const prefix = new DataView(record.buffer);
  if (prefix.getUint32(0, true) !== magic) return null;
  const hash = prefix.getUint32(16, true);
  prefix.setUint32(16, 0, true);
  if (hashOf(record) !== hash) return null;
  try {
    const jsonEnd = prefixBytes + prefix.getUint32(8, true);
    const known = JSON.parse(new TextDecoder().decode(record.subarray(prefixBytes, jsonEnd))) as Known;
    const entry = new Entry(folder, known);
    const chunks = entry.known.fileBytes > 0 ? entry.chunkGrid.count : 0;
    const chunksEnd = jsonEnd + Math.ceil(chunks / 8);
    entry.chunks = new Bitmap(chunks, record.slice(jsonEnd, chunksEnd));
    entry.sourcePieces = new Bitmap(prefix.getUint32(12, true), record.slice(chunksEnd));
    entry.continueFrom(prefix.getUint32(4, true));
    return entry;
  } catch {
    return null;
  }
}

/** A full disk is told by the caller, who knows how much is needed. */
function toldLater(error: unknown): unknown {
  return isNamed(error, 'QuotaExceededError') ? error : storageError(error);
}

// FNV-1a over the record with the hash's own place taken as zero: it need only tell a torn write.
function hashOf(record: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < record.length; ++index) {
    const byte = index >= 16 && index < 20 ? 0 : record[index]!;
    hash = Math.imul(hash ^ byte, 0x01000193);
  }
  return hash >>> 0;
}
