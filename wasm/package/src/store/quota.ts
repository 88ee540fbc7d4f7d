// How much this site may store, asked before a download, and the sentence where it is too little.
import { LinnetError } from '../errors.js';
import { Entry } from './entry.js';
import { modelFolder, rootFolder } from './folders.js';
import { sizeText } from './sentences.js';

/** Free bytes; Infinity where the browser does not say. Chromium names a round number that has little to do with the disk, so
 *  that the file is also made as large as it will be before anything is downloaded (DataFile.resize). */
export async function freeBytes(): Promise<number> {
  const estimate = await navigator.storage.estimate?.().catch(() => undefined);
  if (estimate?.quota === undefined || estimate.usage === undefined) return Infinity;
  return Math.max(0, estimate.quota - estimate.usage);
}

/** Refuses where `needed` more bytes do not fit. `url`: the model that they are for. */
export async function ensureRoom(needed: number, url: string): Promise<void> {
  const free = await freeBytes();
  if (needed > free) throw await storageFull(needed, free, url);
}

export async function storageFull(needed: number, free: number, url: string): Promise<LinnetError> {
  const others = (await entries()).filter((entry) => entry.known.url !== url && entry.heldBytes > 0);
  others.sort((one, other) => other.heldBytes - one.heldBytes);
  const names = others.slice(0, 3).map((entry) => `${entry.known.name} (${sizeText(entry.heldBytes)})`);
  const advice =
    names.length > 0
      ? `Delete a stored model (${names.join(', ')}${others.length > 3 ? ', …' : ''}) or make room on the disk`
      : 'Make room on the disk, or take a smaller model';
  const left = free < needed ? `about ${sizeText(free)} left` : 'not so much left';
  return new LinnetError(
    'storage-full',
    `The model needs ${sizeText(needed)} more, and this browser has ${left} for this site. ${advice}, ` +
      'then load again: what has come already is kept.',
  );
}

/** Every model's record that can be read, with those that are not whole. */
export async function entries(): Promise<Entry[]> {
  const found: Entry[] = [];
  for (const key of await keys()) {
    const folder = await modelFolder(key, false);
    const entry = folder === null ? null : await Entry.load(folder);
    if (entry !== null) found.push(entry);
  }
  return found;
}

export async function keys(): Promise<string[]> {
  const root = await rootFolder(false);
  const names: string[] = [];
  if (root !== null) for await (const name of root.keys()) names.push(name);
  return names;
}
