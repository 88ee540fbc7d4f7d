// Keys and values of a model that is open, where they do not fit into its memory: a file for each such model, which goes with it.
// A tab that crashed leaves its file; the next model that is opened, in whatever tab, removes it.
import { folderAt, isNamed, whileHeld } from './folders.js';
import { holdScratch, tryScratch, type Release } from './locks.js';
import { freeBytes } from './quota.js';
import { scratchHandle } from './reader.js';
import { DiskFull } from './data_file.js';

const folderPath = ['linnet', 'scratch'];

/** Bytes that could be put aside here; 0: nothing can. */
export async function scratchRoom(): Promise<number> {
  try {
    await folderAt(folderPath, true);
    return await freeBytes();
  } catch {
    return 0;
  }
}

export interface ScratchFile {
  path: string[];
  remove(): Promise<void>;
}

/** A file of this size; throws DiskFull where there is no room for it, else what the browser throws. */
export async function makeScratch(bytes: number): Promise<ScratchFile> {
  const name = crypto.randomUUID();
  const release: Release = await holdScratch(name);
  const path = [...folderPath, name];
  const remove = async (): Promise<void> => {
    try {
      const folder = await folderAt(folderPath, false);
      await whileHeld(() => folder.removeEntry(name));
    } catch {
      // the next model that is opened removes it
    } finally {
      release();
    }
  };
  try {
    await (await folderAt(folderPath, true)).getFileHandle(name, { create: true });
    const handle = await scratchHandle(path);
    try {
      handle.truncate(bytes);
    } finally {
      handle.close();
    }
    return { path, remove };
  } catch (error) {
    await remove();
    throw isNamed(error, 'QuotaExceededError') ? new DiskFull('full', { cause: error }) : error;
  }
}

/** Removes the files of models that are not open any more. `soon`: also of one whose worker was ended a moment ago. */
export async function sweepScratch(soon: boolean): Promise<void> {
  let folder: FileSystemDirectoryHandle;
  const names: string[] = [];
  try {
    folder = await folderAt(folderPath, false);
    for await (const name of folder.keys()) names.push(name);
  } catch {
    return; // no such folder, or no storage
  }
  for (const name of names) {
    const release = await tryScratch(name, soon).catch(() => null);
    if (release === null) continue;
    await whileHeld(() => folder.removeEntry(name)).catch(() => {});
    release();
  }
}
