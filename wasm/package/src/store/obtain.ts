// From an address to a whole model in storage, whatever state it is in.
import { LinnetError } from '../errors.js';
import { Entry } from './entry.js';
import { fileSize, modelFolder, removeFile, removeFolder } from './folders.js';
import { fetchGguf, isSameGguf } from './gguf_download.js';
import { askBeginning, changedError, type Beginning, type Job } from './job.js';
import { beginEntry, damagedChunk, fetchChunks, fetchFrame, isSameModel, mendFrame } from './linnet_download.js';
import { Doubt } from './ranges.js';
import { guessOf } from './sentences.js';
import { streamModel } from './whole_download.js';

// Beginning anew since the file on the server was replaced; asking it what it has since something contradicts.
const mostChanges = 1;
const mostDoubts = 4;
// Of a file that only comes whole, since chunks of it came damaged.
const mostPasses = 3;

/** The stored model of this key, with what a crash left in a state that cannot be gone on from cleared away. */
export async function loadEntry(key: string): Promise<Entry | null> {
  const folder = await modelFolder(key, false);
  if (folder === null) return null;
  const entry = await Entry.load(folder);
  if (entry === null) {
    await removeFolder(key);
    return null;
  }
  if (entry.known.framed && (await fileSize(folder, 'data')) !== entry.known.fileBytes) {
    await removeFolder(key);
    return null;
  }
  if (entry.complete) await removeFile(folder, 'source');
  return entry;
}

/** Under the right to change the model. Returns when it is complete. */
export async function fetchModel(job: Job, entry: Entry | null): Promise<Entry> {
  let changes = 0;
  let passes = 0;
  let conditional = true;
  let resumedFrom = entry?.heldBytes ?? 0;
  let damaged: number | undefined;
  for (let doubts = 0; doubts < mostDoubts; ++doubts) {
    const beginning = await askBeginning(job);
    try {
      if (beginning.kind === 'other') throw noModel(job, entry, beginning);
      if (entry !== null && entry.known.kind === 'linnet' && !entry.known.framed) entry = await mended(job, entry, beginning);
      if (entry !== null && !(await isSame(job, entry, beginning))) {
        if (entry.known.finished) throw cannotMend(job);
        if (changes++ >= mostChanges) throw changedError(job);
        await removeFolder(job.key);
        entry = null;
        damaged = undefined;
        resumedFrom = 0;
      }
      // The server has the same file, and yet a chunk of it came damaged again and again.
      if (entry !== null && damaged !== undefined) throw damagedChunk(job, entry, damaged);
      if (beginning.kind === 'gguf') return await fetchGguf(job, entry, beginning, conditional);
      if (beginning.whole !== null) {
        entry = await streamModel(job, entry, beginning);
        if (entry.complete) return entry;
        if (++passes >= mostPasses) throw damagedChunk(job, entry, firstMissing(entry));
        continue;
      }
      if (entry === null) entry = await beginEntry(job, beginning, await fetchFrame(job, beginning));
      else entry.known.validators = { ...beginning.validators, size: entry.known.fileBytes };
      await fetchChunks(job, entry, conditional, resumedFrom);
      return entry;
    } catch (error) {
      if (!(error instanceof Doubt)) throw error;
      damaged = error.damaged;
      entry = await loadEntry(job.key);
      conditional = false; // a server may take If-Range amiss; what it sends is compared anyway
    } finally {
      beginning.whole?.cancel();
    }
  }
  throw new LinnetError(
    'network',
    `The server ${job.address.host} contradicts itself: its answers are about different files, or about parts of the file ` +
      'that were not asked for. Try again later, or download the file in another way and open it from the disk.',
  );
}

function firstMissing(entry: Entry): number {
  let chunk = 0;
  while (entry.chunks.has(chunk)) ++chunk;
  return chunk;
}

async function isSame(job: Job, entry: Entry, beginning: Beginning): Promise<boolean> {
  if (entry.known.kind !== beginning.kind) return false;
  if (entry.known.kind === 'gguf') return isSameGguf(entry, beginning);
  return entry.known.framed && (await isSameModel(job, entry, beginning));
}

/** A stored file whose own description is damaged. A server that only sends whole files sends the whole of it again. */
async function mended(job: Job, entry: Entry, beginning: Beginning): Promise<Entry | null> {
  if (beginning.kind === 'linnet' && beginning.whole === null) {
    if (await mendFrame(job, entry, await fetchFrame(job, beginning))) return entry;
    throw cannotMend(job);
  }
  await removeFolder(job.key);
  return null;
}

function noModel(job: Job, entry: Entry | null, beginning: Beginning): LinnetError {
  const kept = entry === null ? '' : ' What has been downloaded before is kept.';
  return new LinnetError('bad-file', `There is no model at ${job.url}. ${guessOf(beginning.first)}${kept}`);
}

function cannotMend(job: Job): LinnetError {
  return new LinnetError(
    'changed',
    `The stored model is damaged, and the file at ${job.url} is another one by now, so that it cannot be mended. ` +
      'Delete the stored model, then load it again.',
  );
}
