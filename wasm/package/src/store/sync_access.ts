// Reading and writing an open file of the private file system, from and to memory that threads may share.

/** The bytes that were read: fewer at the end of the file. Throws what the browser throws. */
export function readAt(handle: FileSystemSyncAccessHandle, offset: number, into: Uint8Array): number {
  try {
    return handle.read(into as Uint8Array<ArrayBuffer>, { at: offset });
  } catch {
    // Some browsers do not read into shared memory.
    const copy = new Uint8Array(into.length);
    const bytes = handle.read(copy, { at: offset });
    into.set(copy.subarray(0, bytes));
    return bytes;
  }
}

/** The bytes that were written. Throws what the browser throws; QuotaExceededError where the storage is full. */
export function writeAt(handle: FileSystemSyncAccessHandle, offset: number, from: Uint8Array): number {
  try {
    return handle.write(from as Uint8Array<ArrayBuffer>, { at: offset });
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return handle.write(new Uint8Array(from), { at: offset });
  }
}
