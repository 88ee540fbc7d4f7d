// A .linnet file into storage: the frame first, then the chunks that are missing, each verified before it counts.
import { LinnetError } from '../errors.js';
import type { FileLayout } from '../worker/byte_source.js';
import { breath } from './breath.js';
import { DataFile } from './data_file.js';
import { Entry } from './entry.js';
import { modelFolder, removeFolder } from './folders.js';
import { checkMetadata, checkSums, readLayout, sumsBytes, Sums, type Frame } from './frame.js';
import { askPart, headerBytes, keptSentence, told, type Beginning, type Job } from './job.js';
import { Plan } from './plan.js';
import { ensureRoom } from './quota.js';
import { compare, Doubt, fetchRanges } from './ranges.js';
import { Saver } from './saver.js';
import { fileNameOf, shownName, sizeText } from './sentences.js';

const requestBytes = 16 * 1024 * 1024;

/** Whether the server still has the file that `entry` was begun with. */
export async function isSameModel(job: Job, entry: Entry, beginning: Beginning): Promise<boolean> {
  const data = await DataFile.open(entry.folder, 'data');
  let header: Uint8Array;
  let lastSum: Uint8Array;
  try {
    if (data.size !== entry.known.fileBytes) return false;
    header = data.read(0, headerBytes);
    lastSum = data.read(entry.known.fileBytes - 4, 4);
  } finally {
    data.close();
  }
  if (!sameBytes(header, beginning.first.subarray(0, headerBytes))) return false;
  // The server's own words are enough where it says them. Otherwise the last four bytes tell, which stand for all checksums:
  // an ETag also changes where a file is only copied to another server.
  const words = compare(entry.known.validators, beginning.validators);
  if (words === 'same' || beginning.whole !== null) return true;
  const last = await askPart(job, entry.known.fileBytes - 4, 4, () => new Doubt());
  return sameBytes(last, lastSum);
}

function sameBytes(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, index) => byte === other[index]);
}

/** Fetches and checks the frame; nothing is written before all of it is sound. */
export async function fetchFrame(job: Job, beginning: Beginning): Promise<Frame> {
  const where = `The file at ${job.url}`;
  const { first } = beginning;
  const header = first.slice(0, headerBytes);
  const layout = readLayout(job.checksums, first, beginning.validators.size, where);
  const doubt = () => new Doubt();
  const metadata = new Uint8Array(layout.weightsOffset - headerBytes);
  const had = first.subarray(headerBytes, layout.weightsOffset);
  metadata.set(had);
  if (had.length < metadata.length) {
    const from = headerBytes + had.length;
    metadata.set(await askPart(job, from, layout.weightsOffset - from, doubt), had.length);
  }
  checkMetadata(job.checksums, header, metadata, where);
  const sums = checkSums(job.checksums, await askPart(job, layout.checksumsOffset, sumsBytes(layout), doubt), where);
  return { layout, header, metadata, sums };
}

/** Makes the model's folder with a file of the whole size, the frame in it. */
export function beginEntry(job: Job, beginning: Beginning, frame: Frame): Promise<Entry> {
  return newModel(job, beginning, frame.layout, async (_, data) => writeFrame(data, frame));
}

function writeFrame(data: DataFile, { layout, header, metadata, sums }: Frame): void {
  data.write(0, header);
  data.write(headerBytes, metadata);
  data.write(layout.checksumsOffset, sums.bytes);
}

/** Makes the model's folder with a file of the whole size. `fill` writes the frame, and more where it has it; when it fails,
 *  nothing is left. */
export async function newModel(
  job: Job,
  beginning: Beginning,
  layout: FileLayout,
  fill: (entry: Entry, data: DataFile) => Promise<void>,
): Promise<Entry> {
  await ensureRoom(layout.fileBytes, job.url);
  const folder = (await modelFolder(job.key, true))!;
  const entry = new Entry(folder, {
    url: job.url,
    name: shownName(layout.name) || fileNameOf(job.url),
    kind: 'linnet',
    validators: { ...beginning.validators, size: layout.fileBytes },
  });
  entry.takeLayout(layout);
  let data: DataFile | undefined;
  try {
    data = await DataFile.open(folder, 'data');
    data.resize(0);
    data.resize(layout.fileBytes);
    await fill(entry, data);
    data.flush();
    entry.known.framed = true;
    await entry.save();
    data.close();
    return entry;
  } catch (error) {
    const telling = await told(error, layout.fileBytes, job.url, data);
    data?.close();
    await removeFolder(job.key).catch(() => {});
    throw telling;
  }
}

/** Writes the frame of a stored model anew, and keeps those of its chunks that the frame's checksums hold for. False: the file
 *  on the server is cut in another way, so that nothing of what is stored can belong to it. */
export async function mendFrame(job: Job, entry: Entry, frame: Frame): Promise<boolean> {
  const { known } = entry;
  const { layout, sums } = frame;
  const same =
    layout.fileBytes === known.fileBytes &&
    layout.weightsOffset === known.weightsOffset &&
    layout.weightsBytes === known.weightsBytes &&
    layout.chunkBytes === known.chunkBytes;
  if (!same) return false;
  const data = await DataFile.open(entry.folder, 'data');
  try {
    writeFrame(data, frame);
    const grid = entry.chunkGrid;
    for (let chunk = 0; chunk < grid.count; ++chunk) {
      if (entry.chunks.has(chunk) && !sums.holds(chunk, data.readPiece(grid.start(chunk), grid.size(chunk))))
        entry.chunks.clear(chunk);
      if (chunk % 64 === 63) await breath(job.signal);
    }
    data.flush();
    known.framed = true;
    await entry.save();
    return true;
  } finally {
    data.close();
  }
}

/** Fetches the chunks that are missing. `resumedFrom`: bytes that are there from an earlier visit. */
export async function fetchChunks(job: Job, entry: Entry, conditional: boolean, resumedFrom: number): Promise<void> {
  const { known } = entry;
  const data = await DataFile.open(entry.folder, 'data');
  const plan = new Plan(entry.chunkGrid, entry.chunks, requestBytes, job.connections);
  let saver: Saver | undefined;
  try {
    const started = (saver = await Saver.start(entry, data));
    const sums = await storedSums(job, entry, data);
    job.report('download', entry.heldBytes, known.fileBytes, resumedFrom);
    await fetchRanges({
      address: job.address,
      plan,
      connections: job.connections,
      validators: known.validators,
      conditional,
      signal: job.signal,
      kept: keptSentence,
      take(chunk, bytes) {
        if (!sums.holds(chunk, bytes)) return false;
        data.write(plan.grid.start(chunk), bytes);
        entry.chunks.set(chunk);
        started.wrote(bytes.length);
        job.report('download', entry.heldBytes, known.fileBytes, resumedFrom);
        return true;
      },
    });
    known.finished = true;
    known.storedAt = Date.now();
    saver.finish();
  } catch (error) {
    // What has come stays, whatever ended the download.
    saver?.giveUp();
    throw await told(error, known.fileBytes - entry.heldBytes, job.url, data);
  } finally {
    data.close();
  }
}

/** The checksums that stand in the stored file. */
export async function storedSums(job: Job, entry: Entry, data: DataFile): Promise<Sums> {
  const header = data.read(0, headerBytes);
  const layout = readLayout(job.checksums, header, entry.known.fileBytes, 'The stored file');
  const sums = Sums.from(data.read(layout.checksumsOffset, sumsBytes(layout)), job.checksums);
  if (sums === null) throw new LinnetError('bad-file', 'The stored checksums are damaged. Delete the model and load it again.');
  return sums;
}

export function damagedChunk(job: Job, entry: Entry, chunk: number): LinnetError {
  const grid = entry.chunkGrid;
  const first = grid.start(chunk);
  return new LinnetError(
    'bad-file',
    `Chunk ${chunk + 1} of ${grid.count} (${sizeText(grid.size(chunk))} from byte ${first} on) comes damaged from ` +
      `${job.address.host} each time. The file there is damaged, or something on the way changes it: copy the file to the ` +
      `server again. ${keptSentence}`,
  );
}
