// Models that are read without storage: all of it in memory, or a file in place.
import { LinnetError } from '../errors.js';
import type { ByteSource, ReportProgress } from './byte_source.js';

export function memorySource(bytes: Uint8Array): ByteSource {
  return {
    size: bytes.length,
    read(offset, into) {
      const part = bytes.subarray(offset, offset + into.length);
      into.set(part);
      return part.length;
    },
    close() {},
  };
}

export async function fetchWhole(url: string, report: ReportProgress, signal: AbortSignal): Promise<ByteSource> {
  const response = await fetch(url, { signal });
  if (!response.ok) throw new LinnetError('not-found', `The server has no model at ${url} (${response.status}).`);
  const bytes = new Uint8Array(await response.arrayBuffer());
  report('download', bytes.length, bytes.length, 0);
  return memorySource(bytes);
}
