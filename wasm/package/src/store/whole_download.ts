// A .linnet file from a server that only sends whole files: front to back, verified when the checksums have come at the end.
import type { BodyReader } from './body_reader.js';
import { DataFile } from './data_file.js';
import type { Entry } from './entry.js';
import { checkMetadata, checkSums, readLayout, sumsBytes } from './frame.js';
import { brokenWhole, headerBytes, told, type Beginning, type Job } from './job.js';
import { newModel, storedSums } from './linnet_download.js';
import { Saver } from './saver.js';
import type { FileLayout } from '../worker/byte_source.js';

/** One pass over the file. Chunks that came damaged are missing in the entry that is returned; another pass gets them. */
export async function streamModel(job: Job, entry: Entry | null, beginning: Beginning): Promise<Entry> {
  const body = beginning.whole!;
  // The length that a server gives may be that of a compressed file; the header has the file's own.
  const layout = readLayout(job.checksums, beginning.first, 0, `The file at ${job.url}`);
  try {
    return entry === null ? await streamNew(job, layout, beginning, body) : await streamMissing(job, entry, layout, body);
  } catch (error) {
    throw brokenWhole(job, error);
  } finally {
    body.cancel();
  }
}

/** Nothing is stored yet: the record is written when the checksums have come, and a break leaves nothing. */
async function streamNew(job: Job, layout: FileLayout, beginning: Beginning, body: BodyReader): Promise<Entry> {
  const where = `The file at ${job.url}`;
  const made = await newModel(job, beginning, layout, async (entry, data) => {
    const header = await body.exactly(headerBytes);
    const metadata = await body.exactly(layout.weightsOffset - headerBytes);
    checkMetadata(job.checksums, header, metadata, where);
    data.write(0, header);
    data.write(headerBytes, metadata);
    const { chunkGrid } = entry;
    const came = new Uint32Array(layout.chunks);
    for (let chunk = 0; chunk < layout.chunks; ++chunk) {
      const bytes = await body.exactly(chunkGrid.size(chunk));
      came[chunk] = job.checksums.crc32c(bytes);
      data.write(chunkGrid.start(chunk), bytes);
      job.report('download', chunkGrid.start(chunk) + bytes.length, layout.fileBytes, 0);
    }
    await skip(body, layout.checksumsOffset - layout.weightsOffset - layout.weightsBytes);
    const sums = checkSums(job.checksums, await body.exactly(sumsBytes(layout)), where);
    data.write(layout.checksumsOffset, sums.bytes);
    came.forEach((sum, chunk) => sums.equals(chunk, sum) && entry.chunks.set(chunk));
    entry.known.finished = entry.chunks.full;
  });
  job.report('download', made.heldBytes, layout.fileBytes, 0);
  return made;
}

/** The frame and some chunks are there: what is missing is taken from the stream, each chunk verified as it comes. */
async function streamMissing(job: Job, entry: Entry, layout: FileLayout, body: BodyReader): Promise<Entry> {
  const data = await DataFile.open(entry.folder, 'data');
  const resumedFrom = entry.heldBytes;
  let saver: Saver | undefined;
  try {
    saver = await Saver.start(entry, data);
    const sums = await storedSums(job, entry, data);
    await skip(body, layout.weightsOffset);
    const { chunkGrid } = entry;
    for (let chunk = 0; chunk < layout.chunks && !entry.chunks.full; ++chunk) {
      const bytes = await body.exactly(chunkGrid.size(chunk));
      if (entry.chunks.has(chunk) || !sums.holds(chunk, bytes)) continue;
      data.write(chunkGrid.start(chunk), bytes);
      entry.chunks.set(chunk);
      saver.wrote(bytes.length);
      job.report('download', entry.heldBytes, layout.fileBytes, resumedFrom);
    }
    if (entry.chunks.full) entry.known.finished = true;
    saver.finish();
    return entry;
  } catch (error) {
    saver?.giveUp();
    throw await told(error, layout.fileBytes - entry.heldBytes, job.url, data);
  } finally {
    data.close();
  }
}

async function skip(body: BodyReader, bytes: number): Promise<void> {
  for (let left = bytes; left > 0;) left -= (await body.exactly(Math.min(left, 1024 * 1024))).length;
}
