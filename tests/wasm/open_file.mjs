// The wasm module, and a model file as it reads it.
import { fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

/** The module whose glue this is; the wasm beside it is read here, since the glue would fetch it. */
export async function openModule(path, options = {}) {
  const { default: create } = await import(pathToFileURL(resolve(path)).href);
  return await create({ wasmBinary: readFileSync(path.replace(/\.mjs$/, '.wasm')), ...options });
}

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
