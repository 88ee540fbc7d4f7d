// Reading a model at once and in any order, as the wasm module wants it: from storage, or from a file of the person's.
import { LinnetError } from '../errors.js';
import type { ByteSource } from '../worker/byte_source.js';
import { folderAt, isNamed, pathOf, storageError, whileHeld, type FileName } from './folders.js';
import { readAt } from './sync_access.js';

/** `release` is called once, when the source is closed. */
export async function openStored(
  folder: FileSystemDirectoryHandle,
  name: FileName,
  storedAs: string,
  release: () => void,
): Promise<ByteSource> {
  try {
    return await openHandle(await folder.getFileHandle(name), pathOf(folder, name), storedAs, release);
  } catch (error) {
    throw storageError(error);
  }
}

/** What `ByteSource.elsewhere` names, opened once more in another worker. Throws what the browser throws. */
export async function openPath(model: string[] | Blob): Promise<ByteSource> {
  if (model instanceof Blob) return fileSource(model);
  return openHandle(await fileAt(model), model);
}

/** The file of a model for its keys and values, open for this worker alone. Throws what the browser throws. */
export async function scratchHandle(path: string[]): Promise<FileSystemSyncAccessHandle> {
  const file = await fileAt(path);
  return whileHeld(() => file.createSyncAccessHandle());
}

async function fileAt(path: string[]): Promise<FileSystemFileHandle> {
  return (await folderAt(path.slice(0, -1), false)).getFileHandle(path.at(-1) as string);
}

async function openHandle(
  file: FileSystemFileHandle,
  path: string[],
  storedAs?: string,
  release: () => void = () => {},
): Promise<ByteSource> {
  const handle = await sharedHandle(file);
  if (handle === null) return fileSource(await file.getFile(), storedAs, release);
  return handleSource(handle, path, storedAs, release);
}

/** A handle that other tabs may have too; null where this browser gives only exclusive ones. */
async function sharedHandle(file: FileSystemFileHandle): Promise<FileSystemSyncAccessHandle | null> {
  const open = file.createSyncAccessHandle as (options?: { mode: string }) => Promise<FileSystemSyncAccessHandle>;
  let handle: FileSystemSyncAccessHandle & { mode?: string };
  try {
    handle = await open.call(file, { mode: 'read-only' });
  } catch (error) {
    // Where the option is not known another tab's handle is in the way.
    if (isNamed(error, 'NoModificationAllowedError') || error instanceof TypeError) return null;
    throw error;
  }
  if (handle.mode === 'read-only') return handle;
  handle.close();
  return null;
}

function handleSource(
  handle: FileSystemSyncAccessHandle,
  path: string[],
  storedAs: string | undefined,
  release: () => void,
): ByteSource {
  let open = true;
  return {
    storedAs,
    elsewhere: path,
    size: handle.getSize(),
    read(offset, into) {
      if (!open) return 0;
      try {
        return readAt(handle, offset, into);
      } catch {
        return 0;
      }
    },
    close() {
      if (!open) return;
      open = false;
      handle.close();
      release();
    },
  };
}

/** So much is small, and so much of it is kept: the rows of some hundred tokens. */
const SMALL_BYTES = 16 * 1024;
const KEPT_BYTES = 1024 * 1024;

/** The small pieces that were read last. To read one row of a file takes a browser most of a millisecond, as long as a small model
 *  takes to compute a token, and a text has the same tokens again and again. */
class Pieces {
  private readonly held = new Map<number, Uint8Array>();
  private bytes = 0;

  get(offset: number, into: Uint8Array): boolean {
    const piece = this.held.get(offset);
    if (piece === undefined || piece.length < into.length) return false;
    into.set(piece.subarray(0, into.length));
    this.held.delete(offset); // the last to go, again
    this.held.set(offset, piece);
    return true;
  }

  put(offset: number, piece: Uint8Array): void {
    if (piece.length > SMALL_BYTES) return;
    this.bytes += piece.length - (this.held.get(offset)?.length ?? 0);
    this.held.delete(offset);
    this.held.set(offset, piece);
    for (const [oldest, { length }] of this.held) {
      if (this.bytes <= KEPT_BYTES) break;
      this.held.delete(oldest);
      this.bytes -= length;
    }
  }
}

/** While a file is read from one end to the other, as when a model loads, so much of it is read at a time and the small reads are
 *  served from that: each reading takes a browser most of a millisecond, whatever its length. */
const AHEAD_BYTES = 4 * 1024 * 1024;
const MOST_SERVED = 512 * 1024;

class Ahead {
  private bytes = new Uint8Array(0);
  private at = 0;
  private next = -1;

  /** How many bytes to ask the file for, of those from `offset` on. */
  wanted(offset: number, count: number): number {
    return offset === this.next && count <= MOST_SERVED ? AHEAD_BYTES : count;
  }

  /** Whether it could serve this. */
  get(offset: number, into: Uint8Array): boolean {
    const from = offset - this.at;
    if (from < 0 || from + into.length > this.bytes.length) return false;
    into.set(this.bytes.subarray(from, from + into.length));
    this.next = offset + into.length;
    return true;
  }

  /** Has come from the file for a read of `count` bytes. What is not more than that is not kept. */
  put(offset: number, count: number, bytes: Uint8Array<ArrayBuffer>): void {
    this.bytes = bytes.length > count ? bytes : new Uint8Array(0);
    this.at = offset;
    this.next = offset + count;
  }
}

/** Reads `file` in place. A file that was changed on the disk since it was chosen reads as nothing, with a problem told. */
export function fileSource(file: Blob, storedAs?: string, release: () => void = () => {}): ByteSource {
  const reader = new FileReaderSync();
  const pieces = new Pieces();
  const ahead = new Ahead();
  let open = true;
  let problem = '';
  return {
    storedAs,
    elsewhere: file,
    size: file.size,
    get problem() {
      return problem;
    },
    read(offset, into) {
      if (!open || offset >= file.size) return 0;
      if (pieces.get(offset, into) || ahead.get(offset, into)) return into.length;
      try {
        const wanted = ahead.wanted(offset, into.length);
        const bytes = new Uint8Array(reader.readAsArrayBuffer(file.slice(offset, offset + wanted)));
        const asked = bytes.subarray(0, into.length);
        into.set(asked);
        ahead.put(offset, into.length, bytes);
        if (wanted === into.length) pieces.put(offset, bytes);
        return asked.length;
      } catch (error) {
        problem = unreadable(error).message;
        return 0;
      }
    },
    close() {
      if (!open) return;
      open = false;
      release();
    },
  };
}

/** Why a file that the person chose cannot be read any more. */
export function unreadable(error: unknown): LinnetError {
  if (isNamed(error, 'NotFoundError')) {
    return new LinnetError('storage', 'The file that was chosen is gone: moved, renamed or deleted. Choose it again.', {
      cause: error,
    });
  }
  return new LinnetError(
    'storage',
    'The file that was chosen cannot be read any more: it was changed, or its disk was taken away. Choose it again.',
    { cause: error },
  );
}
