// A model file as the wasm module reads it.
import { fstatSync, openSync, readSync } from 'node:fs';

/** `spoil(bytes, offset)` may change what was read. The file stays open until the program ends. */
export function openFile(path, spoil = () => {}) {
  const descriptor = openSync(path, 'r');
  return {
    size: fstatSync(descriptor).size,
    read(offset, into) {
      // Node does not read into shared memory.
      const copy = Buffer.alloc(into.length);
      const bytes = readSync(descriptor, copy, 0, copy.length, offset);
      spoil(copy.subarray(0, bytes), offset);
      into.set(copy);
      return bytes;
    },
  };
}
