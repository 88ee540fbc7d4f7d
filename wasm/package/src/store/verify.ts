// Stored chunks against their checksums. What is damaged is marked as missing, so that the next load fetches just that.
import { LinnetError } from '../errors.js';
import type { VerifyResult } from '../types.js';
import type { Checksums, ReportProgress } from '../worker/byte_source.js';
import { breath } from './breath.js';
import type { Entry } from './entry.js';
import { checkMetadata, readLayout, sumsBytes, Sums } from './frame.js';
import { firstBytes, headerBytes } from './job.js';
import { openStored } from './reader.js';
import { sizeText } from './sentences.js';

export async function verifyStored(
  entry: Entry,
  options: { checksums: Checksums; report: ReportProgress; signal: AbortSignal },
): Promise<VerifyResult> {
  const wasComplete = entry.complete;
  if (!entry.known.framed) {
    return { ok: false, problem: 'Only a part of this model is stored. Load it again to go on.' };
  }
  const { checksums, report, signal } = options;
  const source = await openStored(entry.folder, 'data', entry.known.url, () => {});
  const read = (offset: number, bytes: number): Uint8Array<ArrayBuffer> => {
    const into = new Uint8Array(bytes);
    source.read(offset, into);
    return into;
  };
  const again = entry.known.url.startsWith('file:')
    ? 'Open the file that it was made from again.'
    : entry.known.kind === 'gguf'
      ? 'Load the model again: it is downloaded and converted anew.'
      : 'Load the model again: what is damaged is downloaded anew.';
  try {
    let sums: Sums | null = null;
    try {
      const where = 'The stored file';
      const first = read(0, Math.min(firstBytes, source.size));
      const layout = readLayout(checksums, first, source.size, where);
      const header = first.slice(0, headerBytes);
      checkMetadata(checksums, header, read(headerBytes, layout.weightsOffset - headerBytes), where);
      sums = Sums.from(read(layout.checksumsOffset, sumsBytes(layout)), checksums);
    } catch (error) {
      if (!(error instanceof LinnetError)) throw error;
    }
    if (sums === null) {
      entry.known.framed = false;
      await entry.save();
      return { ok: false, problem: `The stored file's description of the model is damaged. ${again}` };
    }
    const grid = entry.chunkGrid;
    let damaged = 0;
    for (let chunk = 0; chunk < grid.count; ++chunk) {
      if (entry.chunks.has(chunk) && !sums.holds(chunk, read(grid.start(chunk), grid.size(chunk)))) {
        entry.chunks.clear(chunk);
        ++damaged;
      }
      report('verify', grid.start(chunk) + grid.size(chunk) - grid.offset, grid.bytes, 0);
      if (chunk % 64 === 63) await breath(signal);
    }
    if (damaged > 0) {
      await entry.save();
      const share = sizeText(damaged * grid.pieceBytes);
      return { ok: false, problem: `${damaged} of ${grid.count} chunks (${share}) are damaged on the disk. ${again}` };
    }
    if (!wasComplete) {
      const missing = sizeText(entry.known.fileBytes - entry.heldBytes);
      return { ok: false, problem: `What is stored is sound, but ${missing} are missing. Load the model again to go on.` };
    }
    return { ok: true, problem: '' };
  } finally {
    source.close();
  }
}
