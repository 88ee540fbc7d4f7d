// The pieces of a file by several requests at the same time.
import { abortReason } from '../errors.js';
import { BodyReader } from './body_reader.js';
import type { Validators } from './entry.js';
import { Interrupted, OutOfRange, type Address } from './http.js';
import { Patience } from './patience.js';
import type { Plan, Run } from './plan.js';

/** What comes may belong to another file than the one that was begun; the server is asked what it has now. */
export class Doubt extends Error {
  constructor(
    /** A piece that has come damaged several times. */
    readonly damaged?: number,
  ) {
    super('doubt');
  }
}

export interface Ranges {
  address: Address;
  plan: Plan;
  connections: number;
  validators: Validators;
  /** Ask the server by If-Range to send parts of this file only. */
  conditional: boolean;
  signal: AbortSignal;
  /** Stores a piece that came whole; false: it is damaged. The bytes are valid during the call only. */
  take(piece: number, bytes: Uint8Array): boolean;
  /** Ends the sentence of a connection that cannot be taken up: what has come stays. */
  kept: string;
}

const attemptsOfPiece = 3;

/** Returns when no piece is missing. */
export async function fetchRanges(ranges: Ranges): Promise<void> {
  const control = new AbortController();
  const forward = () => control.abort(abortReason(ranges.signal));
  if (ranges.signal.aborted) throw abortReason(ranges.signal);
  ranges.signal.addEventListener('abort', forward, { once: true });
  const damages = new Map<number, number>();
  let failure: unknown;
  const connect = () =>
    connection(ranges, damages, control.signal).catch((error: unknown) => {
      failure ??= error;
      control.abort(error);
    });
  try {
    // A connection that finds nothing to do ends; pieces that another one could not get are taken up by that one.
    while (failure === undefined && !ranges.plan.held.full) {
      await Promise.all(Array.from({ length: ranges.connections }, connect));
    }
  } finally {
    ranges.signal.removeEventListener('abort', forward);
  }
  if (failure !== undefined) throw failure;
}

async function connection(ranges: Ranges, damages: Map<number, number>, signal: AbortSignal): Promise<void> {
  const patience = new Patience(ranges.address.host, signal);
  for (let run = ranges.plan.next(); run !== null; run = ranges.plan.next()) {
    try {
      await fetchRun(ranges, run, damages, patience, signal);
    } catch (error) {
      if (error instanceof OutOfRange) throw new Doubt();
      if (!(error instanceof Interrupted)) throw error;
      await patience.wait(error, ranges.kept);
    } finally {
      ranges.plan.giveBack(run);
    }
  }
}

async function fetchRun(
  ranges: Ranges,
  run: Run,
  damages: Map<number, number>,
  patience: Patience,
  signal: AbortSignal,
): Promise<void> {
  const { grid } = ranges.plan;
  const first = grid.start(run.first);
  const end = grid.start(run.first + run.count - 1) + grid.size(run.first + run.count - 1);
  const ifRange = ranges.conditional && ranges.address.sameOrigin ? conditionOf(ranges.validators) : '';
  const answer = await ranges.address.get({ first, last: end - 1, ifRange }, signal);
  if (!answer.partial || compare(ranges.validators, answer.validators) === 'different') {
    answer.cancel();
    throw new Doubt();
  }
  const body = new BodyReader(answer);
  const buffer = new Uint8Array(grid.pieceBytes);
  try {
    for (let piece = run.first; piece < run.first + run.count; ++piece) {
      const bytes = buffer.subarray(0, grid.size(piece));
      await body.fill(bytes);
      patience.flowed();
      if (ranges.take(piece, bytes)) continue;
      const times = (damages.get(piece) ?? 0) + 1;
      damages.set(piece, times);
      if (times >= attemptsOfPiece) throw new Doubt(piece);
    }
    if (!(await body.atEnd())) body.cancel(); // the end is waited for, so that the connection can be used again
  } catch (error) {
    body.cancel();
    throw error;
  }
}

/** Whether a server's words are about the same file. 'unknown': it does not say enough. */
export function compare(one: Validators, other: Validators): 'same' | 'different' | 'unknown' {
  if (one.size !== 0 && other.size !== 0 && one.size !== other.size) return 'different';
  if (one.etag !== '' && other.etag !== '') return strong(one.etag) === strong(other.etag) ? 'same' : 'different';
  if (one.lastModified !== '' && other.lastModified !== '') {
    return one.lastModified === other.lastModified ? 'same' : 'different';
  }
  return 'unknown';
}

function strong(etag: string): string {
  return etag.replace(/^W\//, '');
}

/** If-Range takes a strong ETag or a date. */
function conditionOf(validators: Validators): string {
  if (validators.etag !== '') return validators.etag.startsWith('W/') ? '' : validators.etag;
  return validators.lastModified;
}
