// The store of models: what the worker asks for a model, and what the page asks for those that are there.
import { LinnetError } from '../errors.js';
import type { ByteSource } from '../worker/byte_source.js';
import type { Entry } from './entry.js';
import { canonicalUrl, keyOf, removeFolder } from './folders.js';
import { Address } from './http.js';
import type { ObtainOptions, Store } from './interface.js';
import type { Job } from './job.js';
import { acquireFetch, acquireRead, announcing, tryFetch, tryFetchNow, tryWrite } from './locks.js';
import { fetchModel, loadEntry } from './obtain.js';
import { openFile } from './open_file.js';
import { peek, peekFile } from './peek.js';
import { entries, freeBytes, keys } from './quota.js';
import { openStored } from './reader.js';
import { verifyStored } from './verify.js';

export function createStore(): Store {
  const obtainFile: Store['obtainFile'] = (file, options) => openFile(file, options, obtainWith);
  return { obtain, obtainFile, peek, peekFile, list, size, verify, delete: remove };
}

function obtain(address: string, options: ObtainOptions): Promise<ByteSource> {
  const url = canonicalUrl(address);
  return obtainWith(url, options, (job, entry) => {
    if (url.startsWith('file:')) {
      throw new LinnetError('not-found', 'This model was made from a file of yours, and is not whole. Choose the file again.');
    }
    return fetchModel(job, entry);
  });
}

/** Opens the model of `url`; `complete` makes it whole where it is not. */
export async function obtainWith(
  url: string,
  options: ObtainOptions,
  complete: (job: Job, entry: Entry | null) => Promise<Entry>,
): Promise<ByteSource> {
  const { signal } = options;
  signal.throwIfAborted();
  const key = await keyOf(url);
  const releaseFetch = await acquireFetch(key, options.report, signal);
  try {
    let entry = await loadEntry(key);
    if (entry === null || !entry.complete) {
      const releaseWrite = await tryWrite(key);
      if (releaseWrite === null) {
        throw new LinnetError(
          'busy',
          'The stored model is not whole and has to be mended, but another tab has it open. Close it there and load again.',
        );
      }
      const reporter = announcing(key, options.report);
      try {
        const { connections, checksums, converter } = options;
        const { report } = reporter;
        entry = await complete(
          { url, key, address: new Address(url), connections, checksums, converter, report, signal },
          entry,
        );
      } finally {
        reporter.close();
        releaseWrite();
      }
    }
    signal.throwIfAborted();
    const releaseRead = await acquireRead(key, signal);
    try {
      return await openStored(entry.folder, 'data', url, releaseRead);
    } catch (error) {
      releaseRead();
      throw error;
    }
  } finally {
    releaseFetch();
  }
}

async function list(): ReturnType<Store['list']> {
  await clearLeftovers();
  return (await entries()).map((entry) => ({
    url: entry.known.url,
    name: entry.known.name,
    bytes: entry.heldBytes,
    totalBytes: entry.known.fileBytes || entry.known.validators.size,
    complete: entry.complete,
    storedAt: new Date(entry.known.storedAt),
  }));
}

/** What a crash left that no download can go on from. A model that a tab is at work on is left alone. */
async function clearLeftovers(): Promise<void> {
  for (const key of await keys()) {
    const release = await tryFetchNow(key);
    if (release === null) continue;
    try {
      await loadEntry(key);
    } finally {
      release();
    }
  }
}

async function size(): ReturnType<Store['size']> {
  const stored = await entries();
  return {
    usedBytes: stored.reduce((sum, entry) => sum + entry.heldBytes, 0),
    freeBytes: await freeBytes(),
    persistent: (await navigator.storage.persisted?.().catch(() => false)) ?? false,
  };
}

async function verify(address: string, options: Parameters<Store['verify']>[1]): ReturnType<Store['verify']> {
  const key = await keyOf(canonicalUrl(address));
  const releaseFetch = await acquireFetch(key, options.report, options.signal);
  try {
    const entry = await loadEntry(key);
    if (entry === null) throw new LinnetError('not-found', 'This model is not stored in this browser.');
    const releaseRead = await acquireRead(key, options.signal);
    try {
      return await verifyStored(entry, options);
    } finally {
      releaseRead();
    }
  } finally {
    releaseFetch();
  }
}

async function remove(address: string): Promise<void> {
  const key = await keyOf(canonicalUrl(address));
  const releaseFetch = await tryFetch(key);
  if (releaseFetch === null) {
    throw new LinnetError('busy', 'A tab is downloading this model. Stop the download there, then delete it.');
  }
  try {
    const releaseWrite = await tryWrite(key);
    if (releaseWrite === null) {
      throw new LinnetError('busy', 'A tab has this model open. Close it there, then delete it.');
    }
    try {
      await removeFolder(key);
    } finally {
      releaseWrite();
    }
  } finally {
    releaseFetch();
  }
}
