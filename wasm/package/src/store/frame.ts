// The frame of a .linnet file: header, metadata and checksums, fetched and verified before the weights.
import { LinnetError } from '../errors.js';
import type { Checksums, FileLayout } from '../worker/byte_source.js';
import { headerBytes } from './job.js';

// More than any model's tokenizer and tensor table; so much is held in memory for a moment.
const mostMetadata = 256 * 1024 * 1024;

export interface Frame {
  layout: FileLayout;
  header: Uint8Array<ArrayBuffer>;
  metadata: Uint8Array<ArrayBuffer>;
  sums: Sums;
}

/** From the first bytes of the file. `size`: what the server says the file has; 0: nothing. */
export function readLayout(checksums: Checksums, header: Uint8Array, size: number, where: string): FileLayout {
  const answer = checksums.fileLayout(header);
  if ('problem' in answer) throw new LinnetError('bad-file', `${where} is not a model that can be used: ${answer.problem}`);
  const { layout } = answer;
  const numbers = [layout.fileBytes, layout.weightsOffset, layout.weightsBytes, layout.checksumsOffset, layout.chunkBytes];
  const sound =
    numbers.every((value) => Number.isSafeInteger(value) && value >= 0) &&
    layout.chunkBytes > 0 &&
    layout.chunkBytes <= 16 * 1024 * 1024 &&
    layout.chunks === Math.ceil(layout.weightsBytes / layout.chunkBytes) &&
    layout.weightsOffset >= headerBytes &&
    layout.weightsOffset + layout.weightsBytes <= layout.checksumsOffset &&
    layout.checksumsOffset + sumsBytes(layout) <= layout.fileBytes;
  if (!sound) throw new LinnetError('bad-file', `${where} is damaged: its header contradicts itself.`);
  if (layout.weightsOffset > mostMetadata) throw new LinnetError('bad-file', `${where} has metadata of an impossible size.`);
  if (size !== 0 && size !== layout.fileBytes) {
    throw new LinnetError(
      'bad-file',
      `${where} has ${size} bytes and should have ${layout.fileBytes}: it was not copied whole. Copy it to the server again.`,
    );
  }
  return layout;
}

export function checkMetadata(checksums: Checksums, header: Uint8Array, metadata: Uint8Array, where: string): void {
  const problem = checksums.metadataProblem(header, metadata);
  if (problem !== '') throw new LinnetError('bad-file', `${where} is damaged: ${problem}`);
}

export function sumsBytes(layout: FileLayout): number {
  return 4 * (layout.chunks + 1);
}

/** The checksums that came with a file, where they hold for themselves. */
export function checkSums(checksums: Checksums, bytes: Uint8Array<ArrayBuffer>, where: string): Sums {
  const sums = Sums.from(bytes, checksums);
  if (sums === null) throw new LinnetError('bad-file', `${where} is damaged: its checksums contradict themselves.`);
  return sums;
}

/** The checksums of the chunks, as the end of the file has them. */
export class Sums {
  private readonly values: DataView;

  private constructor(
    readonly bytes: Uint8Array<ArrayBuffer>,
    private readonly checksums: Checksums,
  ) {
    this.values = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  /** null: they are damaged themselves. */
  static from(bytes: Uint8Array<ArrayBuffer>, checksums: Checksums): Sums | null {
    const sums = new Sums(bytes, checksums);
    const last = bytes.length - 4;
    return sums.values.getUint32(last, true) === checksums.crc32c(bytes.subarray(0, last)) >>> 0 ? sums : null;
  }

  holds(chunk: number, bytes: Uint8Array): boolean {
    return this.equals(chunk, this.checksums.crc32c(bytes));
  }

  equals(chunk: number, sum: number): boolean {
    return this.values.getUint32(4 * chunk, true) === sum >>> 0;
  }
}
