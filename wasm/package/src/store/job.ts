// One load of one address: what its parts share.
import { LinnetError } from '../errors.js';
import type { Checksums, ReportProgress } from '../worker/byte_source.js';
import { BodyReader } from './body_reader.js';
import { type DataFile, DiskFull } from './data_file.js';
import type { Validators } from './entry.js';
import { isNamed } from './folders.js';
import { Interrupted, OutOfRange, type Address } from './http.js';
import type { Converter } from './interface.js';
import { Patience, unreachable } from './patience.js';
import { freeBytes, storageFull } from './quota.js';
import { kindOf, type FileKind } from './sentences.js';

export interface Job {
  url: string;
  key: string;
  address: Address;
  connections: number;
  checksums: Checksums;
  converter: () => Promise<Converter>;
  report: ReportProgress;
  signal: AbortSignal;
}

export const keptSentence = 'What has been downloaded is kept: load again to go on there.';
export const headerBytes = 512;
export const firstBytes = 64 * 1024;

/** The beginning of the file as the server has it now. */
export interface Beginning {
  kind: FileKind;
  first: Uint8Array<ArrayBuffer>;
  validators: Validators;
  /** Where the server sends whole files only: the body, from its first byte on. */
  whole: BodyReader | null;
}

export async function askBeginning(job: Job): Promise<Beginning> {
  const patience = new Patience(job.address.host, job.signal, 2);
  for (;;) {
    try {
      const answer = await job.address.get({ first: 0, last: firstBytes - 1 }, job.signal);
      const body = new BodyReader(answer);
      const first = await body.upTo(firstBytes);
      const whole = answer.partial ? null : body;
      if (whole !== null) whole.unread(first);
      else body.cancel();
      return { kind: kindOf(first), first, validators: answer.validators, whole };
    } catch (error) {
      if (error instanceof OutOfRange) {
        throw new LinnetError('bad-file', `The file at ${job.url} is empty.`);
      }
      if (!(error instanceof Interrupted)) throw error;
      if (navigator.onLine === false) throw unreachable(job.address.host, error);
      await patience.wait(error, '').catch((last: unknown) => {
        throw last instanceof LinnetError ? unreachable(job.address.host, error) : last;
      });
    }
  }
}

/** Bytes [first, first + bytes) of a server that knows ranges. Doubtful where the file is another one by now. */
export async function askPart(job: Job, first: number, bytes: number, doubt: () => Error): Promise<Uint8Array<ArrayBuffer>> {
  const patience = new Patience(job.address.host, job.signal);
  for (;;) {
    try {
      const answer = await job.address.get({ first, last: first + bytes - 1 }, job.signal);
      const body = new BodyReader(answer);
      if (!answer.partial) {
        body.cancel();
        throw doubt();
      }
      const part = await body.exactly(bytes);
      if (!(await body.atEnd())) body.cancel();
      return part;
    } catch (error) {
      if (error instanceof OutOfRange) throw doubt();
      if (!(error instanceof Interrupted)) throw error;
      await patience.wait(error, keptSentence);
    }
  }
}

export function changedError(job: Job): LinnetError {
  return new LinnetError(
    'changed',
    `The file at ${job.url} was replaced on the server while it was downloaded, more than once. ` +
      'Load again when it has settled.',
  );
}

/** `error`, or what a broken connection means with a server that only sends whole files. */
export function brokenWhole(job: Job, error: unknown): unknown {
  if (!(error instanceof Interrupted)) return error;
  return new LinnetError(
    'network',
    `The connection to ${job.address.host} broke, and this server cannot go on in the middle of a file: the next load begins ` +
      'at the front again. A server that answers Range requests would go on where it broke.',
    { cause: error },
  );
}

/** `error`, or what it means for the person where the disk was full. `needed`: bytes that are missing. */
export async function told(error: unknown, needed: number, url: string, file?: DataFile): Promise<unknown> {
  if (!(error instanceof DiskFull) && !isNamed(error, 'QuotaExceededError')) return error;
  const missing = Math.max(needed, 1);
  return storageFull(missing, file?.room(missing) ?? (await freeBytes()), url);
}
