// Two tabs, one model. Web Locks end with the tab that holds them, however it ends.
//
//     fetch:<key>   held by the one that downloads, repairs or deletes; waited for
//     use:<key>     shared by those that read; exclusively held by the one that writes. Only ever taken under fetch:<key>,
//                   so that nothing comes in between; a refusal means that a tab reads the model at this moment.
//     scratch:<name>  held by the worker whose keys and values stand in that file
import { abortReason, LinnetError } from '../errors.js';
import type { LoadPhase } from '../types.js';
import type { ReportProgress } from '../worker/byte_source.js';

export type Release = () => void;

/** null: not free, where it was not to be waited for. */
async function acquire(
  name: string,
  options: { mode: LockMode; wait: boolean; signal?: AbortSignal },
): Promise<Release | null> {
  if (!('locks' in navigator)) {
    throw new LinnetError('unsupported', 'This browser has no Web Locks, which storage needs. Use a newer browser.');
  }
  return new Promise<Release | null>((resolve, reject) => {
    const request: LockOptions = options.wait
      ? { mode: options.mode, signal: options.signal }
      : { mode: options.mode, ifAvailable: true };
    if (request.signal === undefined) delete request.signal;
    navigator.locks
      .request(`linnet-model-${name}`, request, (lock) => {
        if (lock === null) return resolve(null);
        return new Promise<void>((release) => resolve(() => release()));
      })
      .catch((error: unknown) => reject(options.signal?.aborted ? abortReason(options.signal) : error));
  });
}

/** The right to change the model of this key. Waits for another tab and tells its progress in the meantime. */
export async function acquireFetch(key: string, report: ReportProgress, signal: AbortSignal): Promise<Release> {
  const free = await acquire(`fetch:${key}`, { mode: 'exclusive', wait: false });
  if (free !== null) return free;
  const stop = listen(key, (loaded, total, resumedFrom) => report('wait', loaded, total, resumedFrom));
  report('wait', 0, 0, 0);
  try {
    return (await acquire(`fetch:${key}`, { mode: 'exclusive', wait: true, signal }))!;
  } finally {
    stop();
  }
}

/** null: a tab downloads or changes the model at this moment. */
export function tryFetch(key: string): Promise<Release | null> {
  return acquireSoon(`fetch:${key}`);
}

/** The right to write while nobody reads; null where a tab reads. */
export function tryWrite(key: string): Promise<Release | null> {
  return acquireSoon(`use:${key}`);
}

/** A worker that was just ended gives its locks back a moment later: so much is waited for. */
async function acquireSoon(name: string): Promise<Release | null> {
  const control = new AbortController();
  const timer = setTimeout(() => control.abort(), 500);
  try {
    return await acquire(name, { mode: 'exclusive', wait: true, signal: control.signal });
  } catch (error) {
    if (control.signal.aborted) return null;
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** Like tryFetch, for work that can be left for another time. */
export function tryFetchNow(key: string): Promise<Release | null> {
  return acquire(`fetch:${key}`, { mode: 'exclusive', wait: false });
}

export async function acquireRead(key: string, signal: AbortSignal): Promise<Release> {
  return (await acquire(`use:${key}`, { mode: 'shared', wait: true, signal }))!;
}

/** Held as long as the worker lives. */
export async function holdScratch(name: string): Promise<Release> {
  return (await acquire(`scratch:${name}`, { mode: 'exclusive', wait: true }))!;
}

/** null: the file is in use. `soon`: who has it may be about to end. */
export function tryScratch(name: string, soon: boolean): Promise<Release | null> {
  return soon ? acquireSoon(`scratch:${name}`) : acquire(`scratch:${name}`, { mode: 'exclusive', wait: false });
}

/** null: a tab writes the model at this moment. */
export function tryRead(key: string): Promise<Release | null> {
  return acquire(`use:${key}`, { mode: 'shared', wait: false });
}

const channelName = 'linnet-downloads';
interface Heard {
  key: string;
  phase: LoadPhase;
  loaded: number;
  total: number;
  resumedFrom: number;
}

function listen(key: string, hear: (loaded: number, total: number, resumedFrom: number) => void): () => void {
  const channel = new BroadcastChannel(channelName);
  channel.onmessage = (event: MessageEvent<Heard>) => {
    if (event.data?.key === key) hear(event.data.loaded, event.data.total, event.data.resumedFrom);
  };
  return () => channel.close();
}

export interface Reporter {
  report: ReportProgress;
  close(): void;
}

/** Tells progress to this load and to those that wait in other tabs: ten times a second, and the end of a phase always. */
export function announcing(key: string, report: ReportProgress): Reporter {
  const channel = new BroadcastChannel(channelName);
  let lastTime = -Infinity;
  let lastPhase: LoadPhase | undefined;
  return {
    report(phase, loaded, total, resumedFrom) {
      const now = performance.now();
      if (phase === lastPhase && now - lastTime < 100 && loaded !== total) return;
      lastTime = now;
      lastPhase = phase;
      report(phase, loaded, total, resumedFrom);
      channel.postMessage({ key, phase, loaded, total, resumedFrom } satisfies Heard);
    },
    close: () => channel.close(),
  };
}
