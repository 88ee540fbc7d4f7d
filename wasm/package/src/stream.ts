// An answer as it comes: the loop over pieces, and the promise of the whole.
import type { AnswerEvent } from './protocol.js';
import type { Reply, ReplyStream } from './types.js';

/** Asks for the answer; events come while it is made. The signal ends it, and what was said comes back all the same. */
type Run = (signal: AbortSignal, event: (event: AnswerEvent) => void) => Promise<Reply>;

export class AnswerStream implements ReplyStream {
  readonly reply: Promise<Reply>;
  private readonly controller = new AbortController();
  private readonly pieces: string[] = [];
  private finished = false;
  private wake: () => void = () => {};
  private changed = this.nextChange();

  constructor(run: Run, signal: AbortSignal | undefined, onPrefill: ((done: number, total: number) => void) | undefined) {
    const forward = (): void => this.controller.abort(signal?.reason);
    if (signal?.aborted === true) forward();
    else signal?.addEventListener('abort', forward, { once: true });
    this.reply = run(this.controller.signal, (event) => {
      if ('piece' in event) {
        this.pieces.push(event.piece);
        this.wake();
      } else {
        onPrefill?.(event.prefill, event.total);
      }
    }).finally(() => {
      signal?.removeEventListener('abort', forward);
      this.finished = true;
      this.wake();
    });
    // Whoever only loops hears of a failure there.
    this.reply.catch(() => {});
  }

  cancel(): void {
    this.controller.abort();
  }

  [Symbol.asyncIterator](): AsyncIterator<string, void> {
    let at = 0;
    const next = async (): Promise<IteratorResult<string, void>> => {
      for (;;) {
        if (at < this.pieces.length) return { done: false, value: this.pieces[at++] as string };
        if (this.finished) break;
        await this.changed;
      }
      await this.reply; // throws what the call failed with
      return { done: true, value: undefined };
    };
    const leave = async (): Promise<IteratorResult<string, void>> => {
      this.cancel();
      await this.reply.catch(() => {});
      return { done: true, value: undefined };
    };
    return { next, return: leave };
  }

  private nextChange(): Promise<void> {
    return new Promise((resolve) => {
      this.wake = () => {
        this.changed = this.nextChange();
        resolve();
      };
    });
  }
}
