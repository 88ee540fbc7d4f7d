// The benchmark of an open model: rounds over prompts and decoded tokens, with the ceilings measured right before and after each.
import type { BenchRequest, BenchProgress } from '../protocol.js';
import type { BenchResult } from '../types.js';
import type { ByteSource } from './byte_source.js';
import type { Engine } from './engine.js';
import type { BenchTimes, BenchTimesRow } from './module.js';
import { SLICE_MILLISECONDS, pause } from './pause.js';

/** Without a number of rounds: fewer where they take long. As the command does it. */
const USUAL_ROUNDS = 5;
const LEAST_ROUNDS = 3;
const ENOUGH_MILLISECONDS = 60_000;
const MANY_TOKENS = 64;
/** A small model's functions are compiled when it has answered a thousand tokens. */
const WARM_MILLISECONDS = 700;
/** Enough of the file to know how fast it is read. */
const MOST_READ = 512 * 2 ** 20;

async function breathe(signal: AbortSignal): Promise<void> {
  await pause();
  signal.throwIfAborted();
}

/** Bytes a second in which the file comes from storage. */
async function storageRate(source: ByteSource, signal: AbortSignal): Promise<number> {
  const piece = new Uint8Array(4 * 2 ** 20);
  const most = Math.min(source.size, MOST_READ);
  let milliseconds = 0;
  for (let at = 0; at < most; at += piece.length) {
    const into = piece.subarray(0, Math.min(piece.length, most - at));
    const start = performance.now();
    if (source.read(at, into) !== into.length) return 0;
    milliseconds += performance.now() - start;
    await breathe(signal);
  }
  return milliseconds > 0 ? (most * 1000) / milliseconds : 0;
}

/** Random tokens: a real text would do the same work. The command's generator, so that both do the very same. */
function randomTokens(count: number, vocabulary: number): Int32Array {
  let state = 1n;
  return Int32Array.from({ length: count }, () => {
    state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n);
    return Number((state >> 33n) % BigInt(vocabulary));
  });
}

const noRounds = (): Pick<BenchTimesRow, 'rates' | 'readCeilings' | 'dotCeilings'> => ({
  rates: [],
  readCeilings: [],
  dotCeilings: [],
});

/** Throws the signal's reason when it comes. */
export async function bench(
  engine: Engine,
  source: ByteSource,
  request: BenchRequest,
  signal: AbortSignal,
  event: (event: BenchProgress) => void,
): Promise<BenchResult> {
  const { prompts, decode } = request;
  const longest = Math.max(...prompts);
  const tokens = randomTokens(longest + decode, engine.info.vocabulary);
  const owner = {};
  const session = engine.acquire(owner, new Int32Array(0));

  // Time spent in the module alone: between its calls messages are let in.
  const evaluate = async (from: number, count: number, atATime: number): Promise<number> => {
    let milliseconds = 0;
    let start = performance.now();
    for (let end = from + atATime; end <= from + count; end += atATime) {
      const held = tokens.subarray(0, end);
      for (;;) {
        const { done } = engine.evaluate(session, held, SLICE_MILLISECONDS);
        const now = performance.now();
        if (!done || now - start > SLICE_MILLISECONDS || end === from + count) {
          milliseconds += now - start;
          await breathe(signal);
          start = performance.now();
        }
        if (done) break;
      }
    }
    return milliseconds > 0 ? (count * 1000) / milliseconds : 0;
  };
  const prefill = (count: number): Promise<number> => {
    engine.rewind(session, 0);
    return count === 0 ? Promise.resolve(0) : evaluate(0, count, count);
  };
  const fromStorage = (): number => {
    const { bytesStreamed, scratchBytesRead } = engine.stats(session);
    return bytesStreamed + scratchBytesRead;
  };

  const storage = await storageRate(source, signal);
  // At least once without measuring: the engine compiles better code meanwhile, on processors that are to be measured.
  const warm = performance.now();
  do {
    await prefill(Math.min(longest, MANY_TOKENS));
    await evaluate(Math.min(longest, MANY_TOKENS), Math.min(decode, 16), 1);
  } while (performance.now() - warm < WARM_MILLISECONDS);
  const peak = engine.memory().wasmBytes;
  const ceilings = engine.openBench();
  try {
    const times: BenchTimes = {
      model: request.name || engine.info.name,
      rounds: 0,
      prefill: prompts.filter((count) => count > 0).map((count) => ({ after: 0, tokens: count, ...noRounds() })),
      decode: decode > 0 ? prompts.map((count) => ({ after: count, tokens: decode, ...noRounds() })) : [],
      machine: { processor: navigator.userAgent, cores: navigator.hardwareConcurrency },
      load: { ...request.load, storage, bytes: source.size },
      streamed: 0,
      peak,
    };
    // What bounds a round, right before it and right after, of which the better counts.
    const around = async (row: BenchTimesRow, prompt: boolean, work: () => Promise<number>): Promise<void> => {
      const measure = async (): Promise<{ read: number; dots: number }> => {
        const read = prompt ? 0 : ceilings.readRate();
        const dots = ceilings.dotRate(prompt ? MANY_TOKENS : 1);
        await breathe(signal);
        return { read, dots };
      };
      const before = await measure();
      row.rates.push(await work());
      const after = await measure();
      if (!prompt) row.readCeilings.push(Math.max(before.read, after.read));
      row.dotCeilings.push(Math.max(before.dots, after.dots));
    };
    const rounds = request.rounds > 0 ? request.rounds : USUAL_ROUNDS;
    const started = performance.now();
    for (let round = 0; round < rounds; ++round) {
      const long = performance.now() - started > ENOUGH_MILLISECONDS;
      if (request.rounds === 0 && round >= LEAST_ROUNDS && long) break;
      for (const [i, count] of prompts.entries()) {
        const row = times.prefill.find((each) => each.tokens === count);
        if (row === undefined) await prefill(0);
        else await around(row, true, () => prefill(count));
        const answer = times.decode[i];
        if (answer !== undefined) {
          const before = fromStorage();
          await around(answer, false, () => evaluate(count, decode, 1));
          times.streamed = (fromStorage() - before) / decode;
        }
        event({ done: round * prompts.length + i + 1, total: rounds * prompts.length });
      }
      times.rounds = round + 1;
    }
    return ceilings.report(times);
  } finally {
    ceilings.delete();
    engine.release(owner);
  }
}
