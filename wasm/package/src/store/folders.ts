// Where models stand in the Origin Private File System, and how its errors are told.
//
//     linnet/models/<key>/      key: the first 32 hex digits of the SHA-256 of the model's address
//         state-0, state-1      what is known of the model and which chunks are there (entry.ts)
//         data                  the .linnet file; its size from the beginning, chunks come in any order
//         source                a GGUF file while it is fetched and converted
//     linnet/scratch/<name>     keys and values of a model that is open, where they do not fit into its memory (scratch_file.ts)
//
// Only these folders belong to the store. No name from an address or a file becomes a name in them.
import { LinnetError } from '../errors.js';
import { sha256 } from './digest.js';

const rootPath = ['linnet', 'models'];
export type FileName = 'state-0' | 'state-1' | 'data' | 'source';

export function keyOf(url: string): Promise<string> {
  return sha256(new TextEncoder().encode(url), 16);
}

/** An address as the key is made from: absolute, without a fragment. */
export function canonicalUrl(url: string): string {
  let parsed: URL;
  try {
    parsed = new URL(url, globalThis.location?.href);
  } catch {
    throw new LinnetError('bad-argument', `"${url}" is not an address.`);
  }
  if (!['http:', 'https:', 'file:'].includes(parsed.protocol)) {
    throw new LinnetError('bad-argument', `A model's address begins with http: or https:, not with ${parsed.protocol}`);
  }
  parsed.hash = '';
  return parsed.href;
}

/** The folder of all models; null where there is none and none is to be made. */
export async function rootFolder(create: boolean): Promise<FileSystemDirectoryHandle | null> {
  if (typeof navigator.storage?.getDirectory !== 'function') {
    throw new LinnetError(
      'unsupported',
      'This browser has no private file system for pages (or the page is not served by https or from localhost).',
    );
  }
  try {
    return await folderAt(rootPath, create);
  } catch (error) {
    if (isNamed(error, 'NotFoundError')) return null;
    throw storageError(error);
  }
}

/** Throws what the browser throws. */
export async function folderAt(path: readonly string[], create: boolean): Promise<FileSystemDirectoryHandle> {
  let folder = await navigator.storage.getDirectory();
  for (const name of path) folder = await folder.getDirectoryHandle(name, { create });
  return folder;
}

/** Where a file of a model's folder stands, from the root on. */
export const pathOf = (folder: FileSystemDirectoryHandle, name: FileName): string[] => [...rootPath, folder.name, name];

export async function modelFolder(key: string, create: boolean): Promise<FileSystemDirectoryHandle | null> {
  const root = await rootFolder(create);
  if (root === null) return null;
  try {
    return await root.getDirectoryHandle(key, { create });
  } catch (error) {
    if (isNamed(error, 'NotFoundError')) return null;
    throw storageError(error);
  }
}

/** Removes the model's folder with all that is in it. */
export async function removeFolder(key: string): Promise<void> {
  const root = await rootFolder(false);
  await whileHeld(async () => root?.removeEntry(key, { recursive: true })).catch((error: unknown) => {
    if (!isNamed(error, 'NotFoundError')) throw storageError(error);
  });
}

export async function removeFile(folder: FileSystemDirectoryHandle, name: FileName): Promise<void> {
  await whileHeld(() => folder.removeEntry(name)).catch((error: unknown) => {
    if (!isNamed(error, 'NotFoundError')) throw storageError(error);
  });
}

export async function fileSize(folder: FileSystemDirectoryHandle, name: FileName): Promise<number> {
  try {
    return (await (await folder.getFileHandle(name)).getFile()).size;
  } catch {
    return 0;
  }
}

/** The handles of a worker that was ended are closed a little later: what is held is tried again for two seconds. */
export async function whileHeld<T>(attempt: () => Promise<T>): Promise<T> {
  for (let wait = 20; ; wait *= 2) {
    try {
      return await attempt();
    } catch (error) {
      if (!isNamed(error, 'NoModificationAllowedError') || wait > 1280) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

export function isNamed(error: unknown, name: string): boolean {
  return error instanceof DOMException && error.name === name;
}

/** What a storage call threw, as a LinnetError. A full disk is told by the caller, who knows how much is needed. */
export function storageError(error: unknown): unknown {
  if (error instanceof LinnetError || isNamed(error, 'AbortError')) return error;
  if (isNamed(error, 'NoModificationAllowedError')) {
    return new LinnetError('busy', 'Another tab uses this model. Close it there, then try again.', { cause: error });
  }
  if (isNamed(error, 'SecurityError')) {
    return new LinnetError(
      'storage',
      'This browser lets the page store nothing: a private window, or cookies and site data are blocked for it.',
      { cause: error },
    );
  }
  const detail = error instanceof Error ? error.message : String(error);
  return new LinnetError('storage', `The browser's storage failed: ${detail} Reload the page, or clear its site data.`, {
    cause: error,
  });
}
