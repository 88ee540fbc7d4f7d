// The proof that this tab computes the same bits as the terminal.
import { readPrompt } from './answer.js';
import type { Engine } from './engine.js';
import { SLICE_MILLISECONDS, pause } from './pause.js';
import { Sha256 } from './sha256.js';

/** SHA-256 of the logits after every one of the tokens; 'cancelled' where the signal comes before. */
export async function logitsHash(engine: Engine, tokens: Int32Array, signal: AbortSignal): Promise<string | 'cancelled'> {
  const owner = {};
  const session = engine.acquire(owner, new Int32Array(0));
  const hash = new Sha256();
  try {
    let sliceEnd = performance.now() + SLICE_MILLISECONDS;
    for (let count = 1; count <= tokens.length; ++count) {
      const prefix = tokens.subarray(0, count);
      if (!(await readPrompt(engine, session, prefix, signal, () => {}))) return 'cancelled';
      const row = engine.logits(session);
      hash.update(new Uint8Array(row.buffer, row.byteOffset, row.byteLength));
      if (performance.now() < sliceEnd) continue;
      await pause();
      if (signal.aborted) return 'cancelled';
      sliceEnd = performance.now() + SLICE_MILLISECONDS;
    }
    return hash.digest();
  } finally {
    engine.release(owner);
  }
}
