// Whose turn it is: what uses the model goes one after the other, in the order in which it was asked for. An answer has the
// model for itself, so that it is as fast as it can be; a session's own calls keep their order.

interface Waiting {
  start: () => void;
}

export class Turns {
  private readonly queue: Waiting[] = [];
  private busy = false;

  /** Runs `work` when its turn comes; 'cancelled' where the signal comes first. */
  async take<Result>(signal: AbortSignal, work: () => Promise<Result> | Result): Promise<Result | 'cancelled'> {
    if (signal.aborted) return 'cancelled';
    if (this.busy) {
      const turn = await new Promise<boolean>((resolve) => {
        const place: Waiting = { start: () => (signal.removeEventListener('abort', leave), resolve(true)) };
        const leave = (): void => {
          this.queue.splice(this.queue.indexOf(place), 1);
          resolve(false);
        };
        signal.addEventListener('abort', leave, { once: true });
        this.queue.push(place);
      });
      if (!turn) return 'cancelled';
    }
    this.busy = true;
    try {
      return await work();
    } finally {
      const next = this.queue.shift();
      if (next === undefined) this.busy = false;
      else next.start(); // stays busy: it has the turn now
    }
  }
}
