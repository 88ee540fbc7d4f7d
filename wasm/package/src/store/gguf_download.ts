// A GGUF file from an address: fetched into a scratch file, and converted while it comes.
import { LinnetError } from '../errors.js';
import { Bitmap } from './bitmap.js';
import { BodyReader } from './body_reader.js';
import { convertInto, fileTypeOf, reserveResult, resultBytes } from './convert_into.js';
import { DataFile } from './data_file.js';
import { sha256 } from './digest.js';
import { Entry } from './entry.js';
import { fileSize, modelFolder, removeFile, removeFolder } from './folders.js';
import { brokenWhole, keptSentence, told, type Beginning, type Job } from './job.js';
import { Plan } from './plan.js';
import { ensureRoom } from './quota.js';
import { compare, fetchRanges } from './ranges.js';
import { Saver } from './saver.js';
import { Scratch } from './scratch.js';
import { fileNameOf } from './sentences.js';

const pieceBytes = 256 * 1024;
const requestBytes = 4 * 1024 * 1024; // what the converter waits for is not to stand behind much else

export async function isSameGguf(entry: Entry, beginning: Beginning): Promise<boolean> {
  return (
    compare(entry.known.validators, beginning.validators) !== 'different' &&
    entry.known.sourceHash === (await sha256(beginning.first))
  );
}

/** `conditional`: whether the server is asked by If-Range for parts of this file only. */
export async function fetchGguf(job: Job, stored: Entry | null, beginning: Beginning, conditional: boolean): Promise<Entry> {
  let { whole } = beginning;
  // A length beside a compressed body is not the file's, and pages of other sites do not see whether it is compressed.
  let size = whole !== null && !job.address.sameOrigin ? 0 : beginning.validators.size;
  if (size === 0 && whole === null) size = (await job.address.size(job.signal)) || (stored?.known.validators.size ?? 0);
  if (size === 0 && whole === null) whole = await wholeBody(job);
  let entry: Entry;
  if (stored !== null && stored.known.validators.size === size && size !== 0) {
    entry = stored;
    entry.known.validators = { ...beginning.validators, size };
  } else {
    await removeFolder(job.key);
    entry = new Entry((await modelFolder(job.key, true))!, {
      url: job.url,
      name: fileNameOf(job.url),
      kind: 'gguf',
      validators: { ...beginning.validators, size },
    });
    entry.known.sourceHash = await sha256(beginning.first);
  }
  entry.known.sourcePieceBytes = pieceBytes;
  // A result that was there is made anew.
  entry.known.finished = entry.known.framed = false;
  entry.known.fileBytes = entry.known.weightsBytes = 0;
  entry.chunks = new Bitmap(0);
  let needed = size;
  let source: DataFile | undefined;
  try {
    source = await DataFile.open(entry.folder, 'source');
    if (source.size !== size) entry.sourcePieces = new Bitmap(Math.ceil(size / pieceBytes));
    const result = resultBytes(size, fileTypeOf(beginning.first));
    needed = Math.max(0, size - source.size) + Math.max(0, result - (await fileSize(entry.folder, 'data')));
    await ensureRoom(needed, job.url);
    if (size !== 0 && source.size !== size) source.resize(size);
    await reserveResult(entry, result);
    await entry.save();
    if (size === 0) await fetchUnsized(job, entry, source, whole!);
    await fetchAndConvert(job, entry, source, size === 0 ? null : whole, conditional);
  } catch (error) {
    const telling = await told(error, needed, job.url, source);
    source?.close();
    // What the converter refuses is of no use, and neither is a file of which nothing came.
    const refused = error instanceof LinnetError && (error.code === 'bad-file' || error.code === 'unsupported');
    if (refused || entry.heldBytes === 0) await removeFolder(job.key).catch(() => {});
    throw telling;
  }
  source.close();
  await removeFile(entry.folder, 'source');
  entry.sourcePieces = new Bitmap(0);
  entry.known.sourcePieceBytes = 0;
  await entry.save();
  return entry;
}

/** Download and conversion side by side; the first one to fail ends the other. */
async function fetchAndConvert(
  job: Job,
  entry: Entry,
  source: DataFile,
  whole: BodyReader | null,
  conditional: boolean,
): Promise<void> {
  const control = new AbortController();
  const forward = () => control.abort(job.signal.reason);
  job.signal.addEventListener('abort', forward, { once: true });
  if (job.signal.aborted) forward();
  control.signal.addEventListener('abort', () => whole?.cancel(), { once: true });
  const grid = entry.sourceGrid;
  const held = entry.sourcePieces;
  const plan = new Plan(grid, held, requestBytes, job.connections);
  const saver = await Saver.start(entry, source);
  const scratch = new Scratch(source, grid, held, control.signal, (pieces) => {
    plan.urgent = pieces;
  });
  const resumedFrom = grid.heldBytes(held);
  const take = (piece: number, bytes: Uint8Array): boolean => {
    source.write(grid.start(piece), bytes);
    held.set(piece);
    saver.wrote(bytes.length);
    scratch.came(piece);
    job.report('download', grid.heldBytes(held), grid.bytes, resumedFrom);
    return true;
  };
  let failure: unknown;
  const fail = (error: unknown) => {
    failure ??= error;
    scratch.fail(error);
    control.abort(error);
  };
  if (!held.full) job.report('download', resumedFrom, grid.bytes, resumedFrom);
  const download = (
    whole !== null
      ? streamPieces(job, plan, whole, take)
      : fetchRanges({
          address: job.address,
          plan,
          connections: job.connections,
          validators: entry.known.validators,
          conditional,
          signal: control.signal,
          take,
          kept: keptSentence,
        })
  ).catch(fail);
  const convert = convertInto({ ...job, signal: control.signal }, entry, scratch, fileNameOf(job.url), () => !held.full)
    .then(() => control.abort()) // what the converter did not need is not fetched
    .catch(fail);
  try {
    await convert;
    await download;
    if (entry.complete) return;
    throw failure;
  } finally {
    job.signal.removeEventListener('abort', forward);
    saver.giveUp();
  }
}

/** From a server that only sends whole files: front to back. */
async function streamPieces(
  job: Job,
  plan: Plan,
  body: BodyReader,
  take: (piece: number, bytes: Uint8Array) => boolean,
): Promise<void> {
  try {
    for (let piece = 0; piece < plan.grid.count; ++piece) {
      const bytes = await body.exactly(plan.grid.size(piece));
      if (!plan.held.has(piece)) take(piece, bytes);
    }
  } catch (error) {
    throw brokenWhole(job, error);
  } finally {
    body.cancel();
  }
}

/** A file whose size nobody says: all of it first. */
async function fetchUnsized(job: Job, entry: Entry, source: DataFile, body: BodyReader): Promise<void> {
  source.resize(0);
  let size = 0;
  try {
    for (;;) {
      const bytes = await body.upTo(pieceBytes);
      if (bytes.length === 0) break;
      source.write(size, bytes);
      size += bytes.length;
      job.report('download', size, 0, 0);
    }
  } catch (error) {
    throw brokenWhole(job, error);
  } finally {
    body.cancel();
  }
  entry.known.validators.size = size;
  entry.sourcePieces = new Bitmap(Math.ceil(size / pieceBytes));
  for (let piece = 0; piece < entry.sourcePieces.length; ++piece) entry.sourcePieces.set(piece);
}

async function wholeBody(job: Job): Promise<BodyReader> {
  try {
    return new BodyReader(await job.address.get(null, job.signal));
  } catch (error) {
    throw brokenWhole(job, error);
  }
}
