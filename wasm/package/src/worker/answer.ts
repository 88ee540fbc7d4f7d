// An answer in slices: the prompt is read, then token after token is chosen; between two slices messages come in.
import type { AnswerEvent, AnswerOptions } from '../protocol.js';
import type { Finish, Sampling, Timings } from '../types.js';
import type { Engine } from './engine.js';
import { SLICE_MILLISECONDS, pause } from './pause.js';

export interface Generated {
  text: string;
  finish: Finish;
  /** Chosen; the one that ended the answer is not among them. */
  tokens: number[];
  /** Tokens of the prompt that were there already. */
  cached: number;
  timings: Timings;
}

const rate = (tokens: number, milliseconds: number): number => (milliseconds > 0 ? (tokens * 1000) / milliseconds : 0);

function randomSeed(): number {
  const words = crypto.getRandomValues(new Uint32Array(2));
  return (words[0] as number) * 2 ** 20 + ((words[1] as number) & 0xfffff);
}

/** Makes the session hold exactly these tokens, and says how many of them have to be computed. False: cancelled. */
export async function readPrompt(
  engine: Engine,
  session: number,
  tokens: Int32Array,
  signal: AbortSignal,
  progress: (done: number, total: number) => void,
): Promise<boolean> {
  for (;;) {
    if (signal.aborted) return false;
    const { done, tokensDone, tokensTotal } = engine.evaluate(session, tokens, SLICE_MILLISECONDS);
    progress(Math.floor(tokensDone), tokensTotal);
    if (done) return true;
    await pause();
  }
}

/** `owner` gets the session. `trim`: blanks at the beginning are left out. */
export async function generate(
  engine: Engine,
  owner: object,
  prompt: Int32Array,
  options: AnswerOptions & { sampling: Sampling },
  trim: boolean,
  askedAt: number,
  signal: AbortSignal,
  event: (event: AnswerEvent) => void,
): Promise<Generated> {
  const session = engine.acquire(owner, prompt);
  const start = performance.now();
  const before = engine.stats(session);
  let text = '';
  let held = ''; // certain, and not sent yet
  const tokens: number[] = [];
  let finish: Finish = 'cancelled';
  let firstAt = 0;
  let passes = 0;
  let accepted = 0;
  const take = (piece: string): void => {
    held += text === '' && held === '' && trim ? piece.trimStart() : piece;
  };
  const send = (): void => {
    if (held === '') return;
    text += held;
    event({ piece: held });
    held = '';
  };
  let total = 0; // tokens that are computed: a long-context model computes all anew at one length
  const read = await readPrompt(engine, session, prompt, signal, (prefill, computed) => {
    total = computed;
    event({ prefill, total });
  });
  const readAt = performance.now();
  if (read && !signal.aborted) {
    engine.begin(session, {
      ...options.sampling,
      seed: options.sampling.seed ?? randomSeed(),
      maxTokens: options.maxTokens,
      stop: options.stop,
      speculate: options.speculate,
    });
    for (let sliceEnd = readAt + SLICE_MILLISECONDS; ;) {
      const step = engine.step(session);
      ({ passes, accepted } = step);
      if (step.paused !== true) {
        take(step.piece);
        if (step.finish === undefined || step.finish === 'stop') tokens.push(step.token);
        if (firstAt === 0) {
          firstAt = performance.now();
          send();
        }
        if (step.finish !== undefined) {
          finish = step.finish;
          break;
        }
        if (performance.now() < sliceEnd) continue;
      }
      send();
      await pause();
      if (signal.aborted) break;
      sliceEnd = performance.now() + SLICE_MILLISECONDS;
    }
    send();
  }
  const end = performance.now();
  const decode = read ? end - readAt : 0;
  const stats = engine.stats(session);
  return {
    text,
    finish,
    tokens,
    cached: Math.max(0, prompt.length - total),
    timings: {
      prefillMilliseconds: readAt - start,
      decodeMilliseconds: decode,
      prefillTokensPerSecond: read ? rate(total, readAt - start) : 0,
      decodeTokensPerSecond: rate(tokens.length, decode),
      passes,
      tokensPerPass: passes > 0 ? (passes + accepted) / passes : 0,
      firstTokenMilliseconds: firstAt === 0 ? 0 : firstAt - askedAt,
      bytesStreamed: stats.bytesStreamed + stats.scratchBytesRead - before.bytesStreamed - before.scratchBytesRead,
    },
  };
}
