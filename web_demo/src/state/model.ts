// The one model that is open in this tab: choosing, loading, and what it takes while it runs.
import { computed, effect, signal } from '@preact/signals';
import { Linnet, type MemoryUse, type Model, type Progress } from 'linnet';
import { nameOf, offered, readStored, stored } from './library.js';
import { isAbort, problemOf, type Problem } from './problems.js';
import { settings } from './settings.js';

/** What to answer with: an address, or a file that the person chose (known only until the page is closed). */
export type Choice = { kind: 'url'; url: string; name: string } | { kind: 'file'; file: File; name: string };

export type ModelState =
  | { kind: 'none' }
  | { kind: 'loading'; choice: Choice; progress: Progress | undefined }
  | { kind: 'ready'; choice: Choice; model: Model; options: string }
  | { kind: 'failed'; choice: Choice; problem: Problem };

export const modelState = signal<ModelState>({ kind: 'none' });
export const choice = signal<Choice | undefined>(undefined);
export const memoryBytes = signal(0);
/** Bytes that are read from storage for a pass over the model, as of the last looks; 0: all of it is in memory. */
export const streamedPerStep = signal(0);

const choiceKey = 'linnet-model';

export const loadOptions = computed(() => {
  const { context, threads, memory } = settings.value;
  return {
    ...(context ? { context } : {}),
    ...(threads ? { threads } : {}),
    ...(memory ? { memory: memory * 1e6 } : {}),
  };
});

/** Settings of the load have changed since: they hold from the next load on. */
export const loadIsStale = computed(
  () => modelState.value.kind === 'ready' && modelState.value.options !== JSON.stringify(loadOptions.value),
);

/** Whether the chosen model can be opened without a download. */
export const choiceIsStored = computed(() => {
  const chosen = choice.value;
  if (!chosen) return false;
  return chosen.kind === 'file' || stored.value.some((each) => each.url === chosen.url && each.complete);
});

/** Bytes of the chosen model that an earlier visit has left. */
export const partlyStored = computed(() => {
  const chosen = choice.value;
  return chosen?.kind === 'url' ? stored.value.find((each) => each.url === chosen.url && !each.complete) : undefined;
});

export function urlChoice(address: string): Choice {
  const url = new URL(address.trim(), document.baseURI).href;
  const name = offered.value.find((each) => each.url === url)?.name ?? stored.value.find((each) => each.url === url)?.name;
  return { kind: 'url', url, name: name || nameOf(url) };
}

export const fileChoice = (file: File): Choice => ({ kind: 'file', file, name: file.name.replace(/\.(linnet|gguf)$/i, '') });

let loading: AbortController | undefined;

/** Loads a model in the place of the one that is open. Resolves with it, or undefined when that did not come about; why
 *  stands in `modelState`. */
export async function load(chosen: Choice): Promise<Model | undefined> {
  loading?.abort();
  const controller = (loading = new AbortController());
  const { signal } = controller;
  await unload();
  if (signal.aborted) return undefined;
  choice.value = chosen;
  remember(chosen);
  modelState.value = { kind: 'loading', choice: chosen, progress: undefined };
  const options = loadOptions.value;
  try {
    const model = await Linnet.load(chosen.kind === 'url' ? chosen.url : chosen.file, {
      ...options,
      signal,
      onProgress: (progress) => {
        if (!signal.aborted) modelState.value = { kind: 'loading', choice: chosen, progress };
      },
    });
    if (signal.aborted) {
      await model.unload();
      return undefined;
    }
    modelState.value = { kind: 'ready', choice: chosen, model, options: JSON.stringify(options) };
    void readMemory();
    return model;
  } catch (error) {
    if (loading !== controller) return undefined;
    modelState.value = isAbort(error) ? { kind: 'none' } : { kind: 'failed', choice: chosen, problem: problemOf(error) };
    return undefined;
  } finally {
    void readStored();
  }
}

export function cancelLoad(): void {
  loading?.abort();
  if (modelState.value.kind === 'loading') modelState.value = { kind: 'none' };
}

/** What hears that the model goes away: conversations held in its worker. */
export const beforeUnload = new Set<() => void>();

export async function unload(): Promise<void> {
  const state = modelState.value;
  if (state.kind === 'loading') loading?.abort();
  if (state.kind !== 'none') modelState.value = { kind: 'none' };
  if (state.kind !== 'ready') return;
  for (const each of beforeUnload) each();
  memoryBytes.value = 0;
  streamedPerStep.value = 0;
  lastUse = undefined;
  await state.model.unload().catch(() => undefined);
}

/** The model, loading it first where that needs no download that the person has not agreed to. */
export async function ready(): Promise<Model | undefined> {
  const state = modelState.value;
  if (state.kind === 'ready') return state.model;
  return choice.value && choiceIsStored.value ? load(choice.value) : undefined;
}

/** The model of the last visit where it is stored; else the first that the site offers. */
export function startModel(): void {
  const kept = recall();
  const first = offered.value[0];
  if (kept) choice.value = kept;
  else if (first) choice.value = urlChoice(first.url);
  else {
    const complete = stored.value.find((each) => each.complete);
    if (complete) choice.value = urlChoice(complete.url);
  }
  if (choice.value && choiceIsStored.value) void load(choice.value);
}

function remember(chosen: Choice): void {
  try {
    if (chosen.kind === 'url') localStorage.setItem(choiceKey, chosen.url);
  } catch {
    // It is chosen again at the next visit.
  }
}

function recall(): Choice | undefined {
  try {
    const url = localStorage.getItem(choiceKey);
    const known = url && [...offered.value, ...stored.value].some((each) => each.url === url);
    return known ? urlChoice(url) : undefined;
  } catch {
    return undefined;
  }
}

let lastUse: MemoryUse | undefined;

export async function readMemory(): Promise<void> {
  const state = modelState.value;
  if (state.kind !== 'ready') return;
  try {
    const use = await state.model.memory();
    if (modelState.value !== state) return;
    memoryBytes.value = use.wasmBytes;
    const passes = use.passes - (lastUse?.passes ?? 0);
    const streamed = (of: MemoryUse): number => of.bytesStreamed + of.scratchBytesRead;
    if (passes > 0) streamedPerStep.value = (streamed(use) - (lastUse ? streamed(lastUse) : 0)) / passes;
    lastUse = use;
  } catch {
    // The model went away in the meantime.
  }
}

// A choice that was deleted from storage, and that the site does not offer, is none any more.
effect(() => {
  const chosen = choice.value;
  if (chosen?.kind !== 'url' || modelState.value.kind !== 'none') return;
  const known = [...offered.value, ...stored.value].some((each) => each.url === chosen.url);
  if (!known && offered.value[0]) choice.value = urlChoice(offered.value[0].url);
});
