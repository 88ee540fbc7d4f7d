// A file that the person chose: a .linnet file is read where it is, a GGUF file is converted into storage.
import { LinnetError } from '../errors.js';
import type { ByteSource } from '../worker/byte_source.js';
import { convertInto, fileTypeOf, reserveResult, resultBytes } from './convert_into.js';
import { sha256 } from './digest.js';
import { Entry } from './entry.js';
import { modelFolder, removeFolder } from './folders.js';
import { readLayout } from './frame.js';
import type { AsyncSource, ObtainOptions } from './interface.js';
import { firstBytes, told, type Job } from './job.js';
import { ensureRoom } from './quota.js';
import { fileSource, unreadable } from './reader.js';
import { guessOf, kindOf, shownName } from './sentences.js';

type ObtainWith = (
  url: string,
  options: ObtainOptions,
  complete: (job: Job, entry: Entry | null) => Promise<Entry>,
) => Promise<ByteSource>;

export async function openFile(file: Blob, options: ObtainOptions, obtainWith: ObtainWith): Promise<ByteSource> {
  options.signal.throwIfAborted();
  const name = file instanceof File && file.name !== '' ? shownName(file.name) : 'The file';
  const first = await readPart(file, 0, Math.min(firstBytes, file.size));
  const kind = kindOf(first);
  if (kind === 'other') throw new LinnetError('bad-file', `"${name}" is not a model. ${guessOf(first)}`);
  if (kind === 'linnet') {
    readLayout(options.checksums, first, file.size, `"${name}"`);
    return fileSource(file);
  }
  return obtainWith(await addressOf(file, first), options, (job, entry) => convertFile(job, entry, file, first, name));
}

/** The same file has the same name, size, date and beginning. */
async function addressOf(file: Blob, first: Uint8Array<ArrayBuffer>): Promise<string> {
  const beginning = await sha256(first, 8);
  const name = file instanceof File ? file.name : '';
  const date = file instanceof File ? file.lastModified : 0;
  return new URL(`file:///${encodeURIComponent(name)}?size=${file.size}&date=${date}&first=${beginning}`).href;
}

async function convertFile(job: Job, stored: Entry | null, file: Blob, first: Uint8Array, name: string): Promise<Entry> {
  if (stored !== null) await removeFolder(job.key);
  const result = resultBytes(file.size, fileTypeOf(first));
  await ensureRoom(result, job.url);
  const folder = (await modelFolder(job.key, true))!;
  const validators = { size: file.size, etag: '', lastModified: '' };
  const entry = new Entry(folder, { url: job.url, name, kind: 'gguf', validators });
  const source: AsyncSource = { size: file.size, read: (offset, bytes) => readPart(file, offset, bytes) };
  try {
    await reserveResult(entry, result);
    await convertInto(job, entry, source, file instanceof File ? file.name : '', () => false);
    return entry;
  } catch (error) {
    await removeFolder(job.key).catch(() => {});
    throw await told(error, result, job.url);
  }
}

async function readPart(file: Blob, offset: number, bytes: number): Promise<Uint8Array<ArrayBuffer>> {
  let part: Uint8Array<ArrayBuffer>;
  try {
    part = new Uint8Array(await file.slice(offset, offset + bytes).arrayBuffer());
  } catch (error) {
    throw unreadable(error);
  }
  if (part.length !== bytes) {
    throw new LinnetError('bad-file', 'The GGUF file refers to bytes that it does not have: it is damaged or not whole.');
  }
  return part;
}
