// The page's end of a worker: calls by id, events, cancellation. A worker that fails ends every call that waits for it.
import { LinnetError, abortReason } from './errors.js';
import type { CallName, Calls, Request, Response, Setup, WireError } from './protocol.js';

/** A worker that has said nothing for so long after it was made will not. */
const START_MILLISECONDS = 60_000;

interface Pending {
  resolve(result: unknown): void;
  reject(error: unknown): void;
  event: ((event: never) => void) | undefined;
  signal: AbortSignal | undefined;
}

/** Where the build itself did not start; another may. */
export class StartError extends LinnetError {}

export class Connection {
  private worker: Worker;
  private readonly pending = new Map<number, Pending>();
  private nextId = 1;
  private ended: LinnetError | undefined;
  private readonly startTimer: ReturnType<typeof setTimeout>;
  /** What was posted before the worker said that it is there. */
  private unheard: Request[] | undefined = [];
  private startedAgain = false;

  /** `start` makes the worker: `new Worker(…)` must stand where bundlers see it. */
  constructor(
    private readonly start: () => Worker,
    setup: Setup,
  ) {
    this.worker = this.startWorker();
    this.startTimer = setTimeout(() => this.end(this.startFailure('it does not answer')), START_MILLISECONDS);
    this.post({ setup });
  }

  private startWorker(): Worker {
    let worker: Worker;
    try {
      worker = this.start();
    } catch (cause) {
      throw new LinnetError(
        'worker',
        "The worker could not be started. It must come from the page's own origin, and the Content-Security-Policy must " +
          "allow it (worker-src 'self').",
        { cause },
      );
    }
    worker.onmessage = (event: MessageEvent<Response>) => this.receive(event.data);
    worker.onmessageerror = () => this.end(new LinnetError('worker', 'A message of the worker could not be read.'));
    worker.onerror = (event: ErrorEvent | Event) => {
      event.preventDefault?.();
      const message = 'message' in event && event.message ? event.message : '';
      if (message !== '') this.end(new LinnetError('worker', `The worker has failed: ${message}. Load the model again.`));
      else this.startAgain();
    };
    return worker;
  }

  /** A file that did not come once may come the second time. */
  private startAgain(): void {
    const failure = this.startFailure('its file could not be loaded');
    if (this.unheard === undefined || this.startedAgain) {
      this.end(failure);
      return;
    }
    this.startedAgain = true;
    this.worker.terminate();
    try {
      this.worker = this.startWorker();
      for (const request of this.unheard) this.worker.postMessage(request);
    } catch {
      this.end(failure);
    }
  }

  get closed(): boolean {
    return this.ended !== undefined;
  }

  call<Name extends CallName>(
    name: Name,
    input: Calls[Name]['in'],
    options: { signal?: AbortSignal; event?: (event: Calls[Name]['event']) => void; keep?: boolean } = {},
  ): Promise<Calls[Name]['out']> {
    const { signal, event, keep = false } = options;
    if (this.ended !== undefined) return Promise.reject(this.ended);
    // `keep`: a cancelled call still answers (an answer's text so far); the worker hears of it all the same.
    if (signal?.aborted === true && !keep) return Promise.reject(abortReason(signal));
    return new Promise<Calls[Name]['out']>((resolve, reject) => {
      const id = this.nextId++;
      const cancel = (): void => this.post({ cancel: id });
      const done = (): void => signal?.removeEventListener('abort', cancel);
      this.pending.set(id, {
        resolve: (result) => (done(), resolve(result as Calls[Name]['out'])),
        reject: (error) => (done(), reject(error)),
        event: event as ((event: never) => void) | undefined,
        signal,
      });
      try {
        this.post({ id, call: name, with: input } as Request);
      } catch (cause) {
        this.pending.delete(id);
        reject(new LinnetError('bad-argument', 'What was given cannot be sent to a worker.', { cause }));
        return;
      }
      if (signal?.aborted === true) cancel();
      else signal?.addEventListener('abort', cancel, { once: true });
    });
  }

  /** Ends the worker; calls that wait for it are refused with this. */
  end(error: LinnetError): void {
    if (this.ended !== undefined) return;
    this.ended = error;
    clearTimeout(this.startTimer);
    this.worker.onmessage = this.worker.onerror = this.worker.onmessageerror = null;
    this.worker.terminate();
    const waiting = [...this.pending.values()];
    this.pending.clear();
    for (const call of waiting) call.reject(error);
  }

  private post(request: Request): void {
    if (this.ended !== undefined) return;
    this.worker.postMessage(request);
    this.unheard?.push(request);
  }

  private receive(response: Response): void {
    if ('ready' in response) {
      clearTimeout(this.startTimer);
      this.unheard = undefined;
      return;
    }
    const call = this.pending.get(response.id);
    if (call === undefined) return;
    if ('event' in response) {
      call.event?.(response.event as never);
      return;
    }
    this.pending.delete(response.id);
    if ('result' in response) {
      call.resolve(response.result);
      return;
    }
    const error = this.errorOf(response.error, call.signal);
    call.reject(error);
    if (response.error.fatal)
      this.end(error instanceof LinnetError ? error : new LinnetError('worker', response.error.message));
  }

  private errorOf(error: WireError, signal: AbortSignal | undefined): unknown {
    if (error.code === 'cancelled') return abortReason(signal);
    return error.start ? new StartError(error.code, error.message) : new LinnetError(error.code, error.message);
  }

  private startFailure(why: string): LinnetError {
    // An isolated page takes no worker that comes without the header; the browser tells the page nothing of it.
    const isolated = globalThis.crossOriginIsolated
      ? ' This page is cross-origin isolated, so worker.js must be sent with Cross-Origin-Embedder-Policy too.'
      : '';
    return new LinnetError(
      'worker',
      `The worker could not be started: ${why}. The package's folder dist must be served whole and from the page's own ` +
        'origin, and a Content-Security-Policy must have worker-src \'self\'. If a bundler made this page, see "Bundlers" in ' +
        `the README.${isolated}`,
    );
  }
}
