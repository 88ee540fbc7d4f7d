// Files that look like models to the store: random weights in the layout of core/model/format.h, without a tensor table.
import { createHash, randomBytes } from 'node:crypto';
import { crc32c } from './crc32c.ts';

export const CHUNK = 256 * 1024;

/** A .linnet file with so many bytes of random weights. The same `header` of another model: other weights behind it. */
export function makeModel(weightsBytes, { name = 'A test model', metadataBytes = 100_000 } = {}) {
  const weightsOffset = Math.ceil((512 + metadataBytes) / 4096) * 4096;
  const chunks = Math.ceil(weightsBytes / CHUNK);
  const checksumsOffset = weightsOffset + weightsBytes;
  const bytes = Buffer.alloc(checksumsOffset + 4 * (chunks + 1));
  randomBytes(weightsOffset - 512).copy(bytes, 512);
  bytes.write(name, 512);
  randomBytes(weightsBytes).copy(bytes, weightsOffset);
  for (let chunk = 0; chunk < chunks; ++chunk) {
    const from = weightsOffset + chunk * CHUNK;
    bytes.writeUInt32LE(crc32c(bytes.subarray(from, Math.min(from + CHUNK, checksumsOffset))), checksumsOffset + 4 * chunk);
  }
  const last = checksumsOffset + 4 * chunks;
  bytes.writeUInt32LE(crc32c(bytes.subarray(checksumsOffset, last)), last);
  Buffer.from('894c494e4e45540a', 'hex').copy(bytes);
  bytes.writeUInt32LE(2, 8);
  bytes.writeUInt32LE(512, 12);
  const numbers = [
    [16, bytes.length],
    [24, 512],
    [72, weightsOffset],
    [80, weightsBytes],
    [88, checksumsOffset],
  ];
  for (const [at, value] of numbers) bytes.writeBigUInt64LE(BigInt(value), at);
  bytes.writeUInt32LE(Buffer.byteLength(name), 96);
  bytes.writeUInt32LE(CHUNK, 104);
  bytes.writeUInt32LE(crc32c(bytes.subarray(512, weightsOffset)), 108);
  bytes.writeUInt32LE(crc32c(bytes.subarray(0, 508)), 508);
  return { bytes, hash: sha256(bytes), weightsOffset, checksumsOffset, chunks };
}

/** The model with other numbers in its header, and the header's checksum right. `fields`: [offset, value] of 64 bits. */
export function withHeader(model, fields) {
  const bytes = Buffer.from(model.bytes);
  for (const [at, value] of fields) bytes.writeBigUInt64LE(BigInt(value), at);
  bytes.writeUInt32LE(crc32c(bytes.subarray(0, 508)), 508);
  return bytes;
}

/** What the tests' converter (worker.ts) makes `model` of. */
export function makeGguf(model, { unsupported = false, fileType } = {}) {
  const half = Math.floor(model.bytes.length / 2);
  const head = Buffer.alloc(65536);
  head.write('GGUF');
  head[32] = unsupported ? 1 : 0;
  if (fileType !== undefined) {
    head.write('general.file_type', 64);
    head.writeUInt32LE(4, 81); // the value is a u32
    head.writeUInt32LE(fileType, 85);
  }
  return Buffer.concat([head, model.bytes.subarray(half), model.bytes.subarray(0, half)]);
}

export const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');
