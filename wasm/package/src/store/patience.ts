// How long a broken connection is tried again: a few times, each after a longer pause, and anew when bytes have come.
import { abortReason, LinnetError } from '../errors.js';
import { Interrupted } from './http.js';

const pauses = [300, 1000, 2000, 4000, 8000];
const offlineMilliseconds = 60_000;

export class Patience {
  private failures = 0;

  constructor(
    private readonly host: string,
    private readonly signal: AbortSignal,
    private readonly attempts = pauses.length,
  ) {}

  /** Bytes came: the next break is a new one. */
  flowed(): void {
    this.failures = 0;
  }

  /** Waits before the next attempt; throws what a person is to read where there is none. `kept`: the end of the sentence. */
  async wait(error: Interrupted, kept: string): Promise<void> {
    if (navigator.onLine === false) {
      if (await backOnline(this.signal)) return;
      throw new LinnetError('network', `There is no network any more. ${kept}`, { cause: error });
    }
    if (this.failures >= this.attempts) throw broken(this.host, error, kept);
    const pause = Math.max(pauses[this.failures]!, error.retryAfterSeconds * 1000);
    ++this.failures;
    await sleep(pause * (0.8 + 0.4 * Math.random()), this.signal);
  }
}

function broken(host: string, error: Interrupted, kept: string): LinnetError {
  if (error.message.startsWith('The server')) return new LinnetError('network', `${error.message}. ${kept}`, { cause: error });
  return new LinnetError('network', `The connection to ${host} broke (${error.message}) and could not be taken up. ${kept}`, {
    cause: error,
  });
}

/** The sentence where not even the first request was answered: a browser does not say which of the reasons it is. */
export function unreachable(host: string, error: Interrupted): LinnetError {
  if (navigator.onLine === false) {
    return new LinnetError('offline', 'The model is not stored in this browser yet, and there is no network.', {
      cause: error,
    });
  }
  if (error.message.startsWith('The server')) {
    return new LinnetError('network', `${error.message}. Try again later.`, { cause: error });
  }
  return new LinnetError(
    'network',
    `The server ${host} cannot be reached. It may be down, or it may not let pages of other sites read its files ` +
      '(CORS); then download the file in another way and open it from the disk, or put it beside the page.',
    { cause: error },
  );
}

export function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = () => {
      clearTimeout(timer);
      reject(abortReason(signal));
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', end);
      resolve();
    }, milliseconds);
    if (signal.aborted) return end();
    signal.addEventListener('abort', end, { once: true });
  });
}

/** Whether the network came back within a minute. */
async function backOnline(signal: AbortSignal): Promise<boolean> {
  const waited = new AbortController();
  const end = () => waited.abort();
  globalThis.addEventListener('online', end, { once: true });
  const give = () => waited.abort();
  signal.addEventListener('abort', give, { once: true });
  // A browser that misses the event is asked now and then.
  for (let time = 0; time < offlineMilliseconds && navigator.onLine === false && !signal.aborted; time += 500) {
    await sleep(500, waited.signal).catch(() => {});
    if (waited.signal.aborted) break;
  }
  globalThis.removeEventListener('online', end);
  signal.removeEventListener('abort', give);
  if (signal.aborted) throw abortReason(signal);
  return navigator.onLine !== false;
}
