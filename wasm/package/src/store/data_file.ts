// A file of a model's folder, open for reading and writing by this worker alone.
import { LinnetError } from '../errors.js';
import { isNamed, storageError, whileHeld, type FileName } from './folders.js';

/** Thrown where the disk or the site's share of it is full; who knows how much is needed tells it as a LinnetError. */
export class DiskFull extends Error {}

export class DataFile {
  private piece = new Uint8Array(0);

  private constructor(private readonly handle: FileSystemSyncAccessHandle) {}

  static async open(folder: FileSystemDirectoryHandle, name: FileName): Promise<DataFile> {
    try {
      const file = await folder.getFileHandle(name, { create: true });
      return new DataFile(await whileHeld(() => file.createSyncAccessHandle()));
    } catch (error) {
      throw mapped(error);
    }
  }

  get size(): number {
    return attempt(() => this.handle.getSize());
  }

  /** Makes the file this long. Longer: the space is asked for at once, so that a full disk shows before the download. */
  resize(bytes: number): void {
    attempt(() => this.handle.truncate(bytes));
  }

  /** Of `bytes` that do not fit behind what the file has, how many would: found by trying, since browsers do not say it. */
  room(bytes: number): number {
    const before = this.size;
    let fits = 0;
    for (let step = bytes / 2; step >= bytes / 1000; step /= 2) {
      try {
        this.handle.truncate(before + Math.floor(fits + step));
        fits += step;
      } catch {
        // too much
      }
    }
    try {
      this.handle.truncate(before);
    } catch {
      // it was this long already
    }
    return Math.floor(fits);
  }

  write(offset: number, bytes: Uint8Array): void {
    const written = attempt(() => this.handle.write(bytes, { at: offset }));
    if (written !== bytes.length) throw new DiskFull();
  }

  read(offset: number, bytes: number): Uint8Array<ArrayBuffer> {
    return this.fill(offset, new Uint8Array(bytes));
  }

  /** The same into one buffer, for readers of many pieces: what it gives is valid until the next call. */
  readPiece(offset: number, bytes: number): Uint8Array<ArrayBuffer> {
    if (this.piece.length < bytes) this.piece = new Uint8Array(bytes);
    return this.fill(offset, this.piece.subarray(0, bytes));
  }

  private fill(offset: number, into: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    const done = attempt(() => this.handle.read(into, { at: offset }));
    if (done !== into.length) {
      throw new LinnetError('storage', 'A stored file is shorter than it was. Delete the model and load it again.');
    }
    return into;
  }

  flush(): void {
    attempt(() => this.handle.flush());
  }

  close(): void {
    this.handle.close();
  }
}

function attempt<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw mapped(error);
  }
}

function mapped(error: unknown): unknown {
  return isNamed(error, 'QuotaExceededError') ? new DiskFull('full', { cause: error }) : storageError(error);
}
