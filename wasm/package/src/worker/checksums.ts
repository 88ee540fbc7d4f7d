// What storage needs of the wasm module.
import type { Checksums } from './byte_source.js';
import type { LinnetModule } from './module.js';

export function checksumsOf(module: LinnetModule): Checksums {
  return {
    fileLayout(header) {
      const { status, text, ...layout } = module.fileLayout(header);
      return status === 'ok' ? { layout } : { problem: text ?? 'This is not a Linnet model.' };
    },
    metadataProblem: (header, metadata) => module.metadataProblem(header, metadata),
    crc32c: (bytes) => module.crc32c(bytes),
  };
}
