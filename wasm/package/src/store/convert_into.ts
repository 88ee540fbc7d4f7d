// Runs the converter: from a GGUF source into a model's folder, and the result verified before it counts.
import { LinnetError } from '../errors.js';
import { Bitmap } from './bitmap.js';
import { breath } from './breath.js';
import { DataFile, DiskFull } from './data_file.js';
import type { Entry } from './entry.js';
import { checkMetadata, readLayout, sumsBytes, Sums } from './frame.js';
import type { AsyncSource, ConvertedOutput } from './interface.js';
import { firstBytes, headerBytes, told, type Job } from './job.js';
import { shownName } from './sentences.js';

const bufferBytes = 1024 * 1024;
// Of the result's size as it is guessed: so much is needed in any case.
const surely = 0.85;

/** `quiet`: whether the source still downloads, which is what progress tells then. */
export async function convertInto(
  job: Job,
  entry: Entry,
  source: AsyncSource,
  fileName: string,
  quiet: () => boolean,
): Promise<void> {
  const converter = await job.converter();
  const data = await DataFile.open(entry.folder, 'data');
  const output = new Output(data);
  let total = 0;
  try {
    await converter.convert(source, fileName, output, {
      progress(done, all) {
        total = all;
        if (!quiet()) job.report('convert', done, all, 0);
      },
      signal: job.signal,
    });
    output.end();
    data.resize(output.offset);
    data.flush();
    await verifyResult(job, entry, data);
    if (total > 0) job.report('convert', total, total, 0);
  } catch (error) {
    const telling = await told(output.full ?? error, Math.max(total, resultBytes(source.size, 0)), job.url);
    // Half a result is of no use: the next load converts from the front.
    data.resize(0);
    throw telling;
  } finally {
    data.close();
  }
}

/** Takes the room that the result will probably need, before anything is downloaded for it. */
export async function reserveResult(entry: Entry, bytes: number): Promise<void> {
  const data = await DataFile.open(entry.folder, 'data');
  try {
    data.resize(Math.floor(bytes * surely));
  } finally {
    data.close();
  }
}

/** Writes in order, in parts of a megabyte. */
class Output implements ConvertedOutput {
  private readonly buffer = new Uint8Array(bufferBytes);
  private filled = 0;
  offset = 0;
  /** What the disk said when it was full. */
  full: DiskFull | undefined;

  constructor(private readonly file: DataFile) {}

  write(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length;) {
      const part = bytes.subarray(done, done + bufferBytes - this.filled);
      this.buffer.set(part, this.filled);
      this.filled += part.length;
      done += part.length;
      if (this.filled === bufferBytes) this.end();
    }
  }

  end(): void {
    try {
      this.file.write(this.offset, this.buffer.subarray(0, this.filled));
    } catch (error) {
      if (!(error instanceof DiskFull)) throw error;
      this.full = error;
      throw new LinnetError('storage-full', 'The disk is full, or this site may not store more.', { cause: error });
    }
    this.offset += this.filled;
    this.filled = 0;
  }
}

/** Reads what was written and compares it with its own checksums; then the entry says that it is whole. */
async function verifyResult(job: Job, entry: Entry, data: DataFile): Promise<void> {
  const where = 'The converted model';
  const first = data.read(0, Math.min(firstBytes, data.size));
  const layout = readLayout(job.checksums, first, data.size, where);
  checkMetadata(
    job.checksums,
    first.subarray(0, headerBytes),
    data.read(headerBytes, layout.weightsOffset - headerBytes),
    where,
  );
  const sums = Sums.from(data.read(layout.checksumsOffset, sumsBytes(layout)), job.checksums);
  const { known } = entry;
  const chunks = new Bitmap(layout.chunks);
  for (let chunk = 0; chunk < layout.chunks; ++chunk) {
    const start = chunk * layout.chunkBytes;
    const bytes = data.readPiece(layout.weightsOffset + start, Math.min(layout.chunkBytes, layout.weightsBytes - start));
    if (sums === null || !sums.holds(chunk, bytes)) {
      throw new LinnetError('storage', `${where} was not stored as it was written: the disk may be failing. Load it again.`);
    }
    chunks.set(chunk);
    job.report('verify', start + bytes.length, layout.weightsBytes, 0);
    if (chunk % 64 === 63) await breath(job.signal);
  }
  entry.takeLayout(layout, chunks);
  known.framed = true;
  known.finished = true;
  known.storedAt = Date.now();
  known.name = shownName(layout.name) || known.name;
  await entry.save();
}

// Bits a weight of GGUF's file types; a model of int4 groups of 32 has 4.5.
const bitsOfType: Record<number, number> = {
  0: 32,
  1: 16,
  2: 4.5,
  3: 5,
  7: 8.5,
  8: 5.5,
  9: 6,
  10: 2.6,
  11: 3.4,
  12: 3.9,
  13: 4.3,
  14: 4.6,
  15: 4.85,
  16: 5.5,
  17: 5.7,
  18: 6.6,
  19: 2.06,
  20: 2.3,
  21: 2.6,
  22: 3.1,
  23: 3.1,
  24: 1.6,
  25: 4.5,
  26: 3.5,
  27: 3.7,
  28: 2.5,
  29: 2.7,
  30: 4.3,
  31: 1.75,
  32: 16,
};

/** What the model that is made of a GGUF file of `bytes` will have, before the converter says it. */
export function resultBytes(bytes: number, fileType: number): number {
  const bits = bitsOfType[fileType] ?? 4.5;
  return Math.ceil((bytes * 4.5) / bits) + 8 * 1024 * 1024;
}

/** general.file_type from a GGUF's first bytes; Q4_0's where it is not among them. */
export function fileTypeOf(first: Uint8Array): number {
  const key = new TextEncoder().encode('general.file_type');
  search: for (let at = 24; at + key.length + 8 <= first.length; ++at) {
    for (let index = 0; index < key.length; ++index) if (first[at + index] !== key[index]) continue search;
    const view = new DataView(first.buffer, first.byteOffset + at + key.length, 8);
    return view.getUint32(0, true) === 4 ? view.getUint32(4, true) : 2;
  }
  return 2;
}
