// What the plan of a model is made from, without fetching the model: the file's beginning, from storage or from its server.
import { LinnetError } from '../errors.js';
import type { ByteSource } from '../worker/byte_source.js';
import { Entry } from './entry.js';
import { canonicalUrl, keyOf, modelFolder } from './folders.js';
import { checkMetadata, readLayout } from './frame.js';
import { Address } from './http.js';
import type { PeekOptions } from './interface.js';
import { askBeginning, askPart, changedError, headerBytes, type Job } from './job.js';
import { tryRead } from './locks.js';
import { fileSource, openStored } from './reader.js';
import { guessOf, kindOf } from './sentences.js';

const notConverted = (): LinnetError =>
  new LinnetError('unsupported', 'A GGUF file has a plan once it is converted: load it, and look at model.plan.');

export async function peek(address: string, options: PeekOptions): Promise<ByteSource> {
  const url = canonicalUrl(address);
  const key = await keyOf(url);
  return (await peekStored(key, url)) ?? peekServer(url, key, options);
}

/** Null: not stored, or a tab is writing it. */
async function peekStored(key: string, url: string): Promise<ByteSource | null> {
  // A browser without storage can still ask the server.
  const folder = await modelFolder(key, false).catch(() => null);
  const entry = folder === null ? null : await Entry.load(folder);
  if (entry === null || !(entry.complete || (entry.known.kind === 'linnet' && entry.known.framed))) return null;
  const release = await tryRead(key);
  if (release === null) return null;
  try {
    return await openStored(entry.folder, 'data', url, release);
  } catch (error) {
    release();
    throw error;
  }
}

async function peekServer(url: string, key: string, { checksums, signal }: PeekOptions): Promise<ByteSource> {
  if (url.startsWith('file:')) {
    throw new LinnetError('not-found', 'This model was made from a file of yours, and is not whole. Choose the file again.');
  }
  const job: Job = {
    url,
    key,
    address: new Address(url),
    connections: 1,
    checksums,
    converter: () => Promise.reject(notConverted()),
    report: () => {},
    signal,
  };
  const where = `The file at ${url}`;
  const beginning = await askBeginning(job);
  const { first, whole } = beginning;
  try {
    if (beginning.kind === 'gguf') throw notConverted();
    if (beginning.kind === 'other') throw new LinnetError('bad-file', `There is no model at ${url}. ${guessOf(first)}`);
    const layout = readLayout(checksums, first, beginning.validators.size, where);
    const missing = layout.weightsOffset - first.length;
    let bytes = first.subarray(0, layout.weightsOffset);
    if (missing > 0) {
      if (whole !== null) bytes = await whole.exactly(layout.weightsOffset);
      else {
        bytes = new Uint8Array(layout.weightsOffset);
        bytes.set(first);
        bytes.set(await askPart(job, first.length, missing, () => changedError(job)), first.length);
      }
    }
    checkMetadata(checksums, bytes.subarray(0, headerBytes), bytes.subarray(headerBytes), where);
    return beginningSource(bytes, layout.fileBytes);
  } finally {
    whole?.cancel();
  }
}

/** A file of which only the beginning is there. */
function beginningSource(bytes: Uint8Array, size: number): ByteSource {
  return {
    size,
    read(offset, into) {
      const part = bytes.subarray(offset, offset + into.length);
      into.set(part);
      return part.length;
    },
    close() {},
  };
}

export async function peekFile(file: Blob, { checksums, signal }: PeekOptions): Promise<ByteSource> {
  const source = fileSource(file);
  const first = new Uint8Array(Math.min(headerBytes, file.size));
  source.read(0, first);
  signal.throwIfAborted();
  if ((source.problem ?? '') !== '') throw new LinnetError('storage', source.problem as string);
  const kind = kindOf(first);
  if (kind === 'gguf') throw notConverted();
  if (kind === 'other') throw new LinnetError('bad-file', `The file is not a model. ${guessOf(first)}`);
  readLayout(checksums, first, file.size, 'The file');
  return source;
}
