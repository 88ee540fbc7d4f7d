// One request for a part of a file, its answer checked, and what can go wrong with it told as a sentence.
import { abortReason, LinnetError } from '../errors.js';
import type { Validators } from './entry.js';
import { hostOf } from './sentences.js';

/** A connection that broke or a server that is busy: worth another attempt. */
export class Interrupted extends Error {
  constructor(
    message: string,
    readonly retryAfterSeconds = 0,
    options?: { cause?: unknown },
  ) {
    super(message, options);
  }
}

export interface Answer {
  /** The part that was asked for; false: the whole file from its beginning, since the server knows no Range. */
  partial: boolean;
  /** Size 0: the server does not say, or not to pages of other sites. */
  validators: Validators;
  /** The bytes as they come. Throws Interrupted where they stop coming. */
  body: AsyncGenerator<Uint8Array, void, void>;
  /** Ends the connection. */
  cancel(): void;
}

export interface Part {
  first: number;
  last: number;
  /** Sent as If-Range: the server answers with the whole file where it is no longer this one. */
  ifRange?: string;
}

const stallMilliseconds = 30_000;

/** What is asked for again and again: the address, and where it led to (a redirect costs a turn each time). */
export class Address {
  private current: string;

  constructor(readonly url: string) {
    this.current = url;
  }

  get host(): string {
    return hostOf(this.url);
  }

  /** Whether headers beyond the few that are always allowed may be sent without asking the server first. */
  get sameOrigin(): boolean {
    return new URL(this.current).origin === globalThis.location?.origin;
  }

  async get(part: Part | null, signal: AbortSignal): Promise<Answer> {
    const led = this.current !== this.url;
    try {
      const answer = await request(this, this.current, part, signal);
      this.current = answer.finalUrl || this.url;
      return answer;
    } catch (error) {
      // An address that a redirect led to may hold for a few minutes only.
      this.current = this.url;
      if (!led || !(error instanceof LinnetError)) throw error;
      return request(this, this.url, part, signal);
    }
  }

  /** The file's size where the answer to a part does not show it: 0 where nothing shows it. */
  async size(signal: AbortSignal): Promise<number> {
    try {
      const response = await fetch(this.url, { method: 'HEAD', cache: 'no-store', signal });
      return response.ok && !encoded(response) ? lengthOf(response) : 0;
    } catch {
      if (signal.aborted) throw abortReason(signal);
      return 0;
    }
  }
}

async function request(
  address: Address,
  url: string,
  part: Part | null,
  signal: AbortSignal,
): Promise<Answer & { finalUrl: string }> {
  if (signal.aborted) throw abortReason(signal);
  const control = new AbortController();
  const forward = () => control.abort(abortReason(signal));
  signal.addEventListener('abort', forward, { once: true });
  const watch = new Watch(control);
  const finish = () => {
    watch.stop();
    signal.removeEventListener('abort', forward);
  };
  const headers = new Headers();
  if (part !== null) {
    headers.set('Range', `bytes=${part.first}-${part.last}`);
    if (part.ifRange) headers.set('If-Range', part.ifRange);
  }
  let response: Response;
  try {
    // Kept in the page's own storage: the browser's cache need not hold it a second time.
    response = await fetch(url, { headers, cache: 'no-store', signal: control.signal });
  } catch (error) {
    finish();
    throw signal.aborted ? abortReason(signal) : new Interrupted('no answer', 0, { cause: error });
  }
  try {
    refuse(address, response);
    const range = response.status === 206 ? contentRange(response) : null;
    if (part !== null && response.status === 206) {
      // Parts of a compressed stream are of no use; so is another part than the one that was asked for.
      if (encoded(response)) throw notUsable(address, 'it compresses parts of files');
      if (range !== null && (range.first !== part.first || range.last > part.last)) {
        throw notUsable(address, 'it answers with other parts of the file than it was asked for');
      }
    }
    const size = response.status === 206 ? (range?.size ?? 0) : encoded(response) ? 0 : lengthOf(response);
    return {
      partial: part !== null && response.status === 206,
      validators: {
        size,
        etag: response.headers.get('ETag') ?? '',
        lastModified: response.headers.get('Last-Modified') ?? '',
      },
      body: bodyOf(response, signal, watch, finish),
      cancel() {
        control.abort();
        finish();
      },
      finalUrl: response.url,
    };
  } catch (error) {
    control.abort();
    finish();
    throw error;
  }
}

async function* bodyOf(
  response: Response,
  signal: AbortSignal,
  watch: Watch,
  finish: () => void,
): AsyncGenerator<Uint8Array, void, void> {
  const reader = response.body?.getReader();
  try {
    while (reader !== undefined) {
      watch.flowed();
      const { done, value } = await reader.read();
      if (signal.aborted) throw abortReason(signal);
      if (done) return;
      watch.stop(); // what is done with the bytes does not count
      yield value;
    }
  } catch (error) {
    if (signal.aborted) throw abortReason(signal);
    if (error instanceof TypeError || (error instanceof DOMException && error.name !== 'QuotaExceededError')) {
      throw new Interrupted(watch.stalled ? 'nothing came for 30 seconds' : 'the connection broke', 0, { cause: error });
    }
    throw error;
  } finally {
    finish();
    reader?.cancel().catch(() => {});
  }
}

/** Ends a request from which nothing comes any more. */
class Watch {
  private timer: ReturnType<typeof setTimeout> | undefined;
  stalled = false;

  constructor(private readonly control: AbortController) {
    this.flowed();
  }

  flowed(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.stalled = true;
      this.control.abort(new DOMException('Nothing came.', 'TimeoutError'));
    }, stallMilliseconds);
  }

  stop(): void {
    clearTimeout(this.timer);
  }
}

function refuse(address: Address, response: Response): void {
  const { status } = response;
  if (status === 200 || status === 206) return;
  const said = `The server ${address.host} answered ${status}`;
  if (status === 404 || status === 410) {
    throw new LinnetError('not-found', `There is no file at ${address.url} (${status}). Check the address.`);
  }
  if (status === 401 || status === 403) {
    throw new LinnetError(
      'network',
      `${said}: it does not give this file to everyone. Sign in there, accept the model's terms, or download the file and ` +
        'open it from the disk.',
    );
  }
  if (status === 416) throw new OutOfRange();
  if (status === 408 || status === 429 || status >= 500) {
    const after = Number(response.headers.get('Retry-After'));
    throw new Interrupted(`${said}${status === 429 ? ': too many requests' : ''}`, after > 0 ? Math.min(after, 30) : 0);
  }
  throw new LinnetError('network', `${said}, so the model cannot be downloaded. Check the address.`);
}

/** 416: the file ends before the part that was asked for. */
export class OutOfRange extends Error {}

function notUsable(address: Address, why: string): LinnetError {
  return new LinnetError(
    'network',
    `The server ${address.host} cannot be used: ${why}. Download the file in another way and open it from the disk.`,
  );
}

function encoded(response: Response): boolean {
  const encoding = response.headers.get('Content-Encoding')?.toLowerCase();
  return encoding != null && encoding !== '' && encoding !== 'identity';
}

function lengthOf(response: Response): number {
  return safe(response.headers.get('Content-Length'));
}

function contentRange(response: Response): { first: number; last: number; size: number } | null {
  const match = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(response.headers.get('Content-Range')?.trim() ?? '');
  if (match === null) return null; // not shown to pages of other sites
  return { first: safe(match[1]!), last: safe(match[2]!), size: match[3] === '*' ? 0 : safe(match[3]!) };
}

/** A size that a server names; 0 where it is none that can be counted with. */
function safe(text: string | null): number {
  const value = text !== null && /^\d+$/.test(text.trim()) ? Number(text) : 0;
  return Number.isSafeInteger(value) ? value : 0;
}
