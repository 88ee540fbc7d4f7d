// A benchmark as the speed page knows it: what is to be measured, how far it is, what was found.
import { computed, signal } from '@preact/signals';
import { Linnet, type BenchResult } from 'linnet';
import { library } from './library.js';
import { isAbort, problemOf } from './problems.js';

export type BenchState =
  | { kind: 'none' }
  | { kind: 'running'; phase: 'start' | 'measure'; done: number; stopping: boolean }
  | { kind: 'stopped' }
  | { kind: 'failed'; text: string }
  | { kind: 'done'; result: BenchResult };

/** Models that need no download. */
export const measurable = computed(() => library.value.filter((model) => model.stored?.complete));
/** A file of the person's, which goes before the stored models. */
export const file = signal<File | undefined>(undefined);
export const chosenUrl = signal('');
export const most = globalThis.crossOriginIsolated ? Math.max(1, Math.min(8, navigator.hardwareConcurrency)) : 1;
export const threads = signal(most);
export const prompts = signal('32, 128, 512');
export const decode = signal(32);
export const state = signal<BenchState>({ kind: 'none' });

/** Whole numbers with commas between; undefined where it is something else. */
export function lengthsOf(text: string): number[] | undefined {
  const parts = text.split(',').map((part) => part.trim());
  if (!parts.every((part) => /^\d{1,6}$/.test(part))) return undefined;
  return parts.map(Number);
}

export const source = computed(() => {
  if (file.value !== undefined) return file.value;
  const url = chosenUrl.value || measurable.value[0]?.url;
  return measurable.value.some((model) => model.url === url) ? url : undefined;
});

let running: AbortController | undefined;

export async function start(): Promise<void> {
  const from = source.value;
  const lengths = lengthsOf(prompts.value);
  if (from === undefined || lengths === undefined || state.value.kind === 'running') return;
  const controller = (running = new AbortController());
  state.value = { kind: 'running', phase: 'start', done: 0, stopping: false };
  try {
    const result = await Linnet.bench(from, {
      threads: threads.value,
      prompts: lengths,
      decode: decode.value,
      signal: controller.signal,
      onProgress: ({ phase, done }) => {
        if (!controller.signal.aborted) state.value = { kind: 'running', phase, done, stopping: false };
      },
    });
    state.value = { kind: 'done', result };
  } catch (error) {
    state.value = isAbort(error) ? { kind: 'stopped' } : { kind: 'failed', text: problemOf(error).text };
  }
}

export function stop(): void {
  if (state.value.kind === 'running') state.value = { ...state.value, stopping: true };
  running?.abort();
}
