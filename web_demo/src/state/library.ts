// The models that there are: those that the site offers (models.json beside the page), and those in this browser's storage.
import { computed, signal } from '@preact/signals';
import { Linnet, type Progress, type StoredModel } from 'linnet';
import { isAbort, problemOf } from './problems.js';

export interface OfferedModel {
  name: string;
  url: string;
  bytes: number;
  license: string;
  description: string;
}

/** One line of the model manager. */
export interface ListedModel {
  url: string;
  name: string;
  bytes: number;
  license: string;
  description: string;
  stored: StoredModel | undefined;
}

export const offered = signal<OfferedModel[]>([]);
export const stored = signal<StoredModel[]>([]);
export const storage = signal<{ usedBytes: number; freeBytes: number; persistent: boolean } | undefined>(undefined);
/** False until it is known what there is: the first screen waits for it. */
export const libraryRead = signal(false);
export const libraryProblem = signal('');

export const library = computed<ListedModel[]>(() => [
  ...offered.value.map((model) => ({ ...model, stored: stored.value.find((each) => each.url === model.url) })),
  ...stored.value
    .filter((each) => !offered.value.some((model) => model.url === each.url))
    .map((each) => ({
      url: each.url,
      name: each.name || nameOf(each.url),
      bytes: each.totalBytes || each.bytes,
      license: '',
      description: '',
      stored: each,
    })),
]);

/** The end of an address without what follows the dot. */
export function nameOf(url: string): string {
  try {
    const last = decodeURIComponent(new URL(url, document.baseURI).pathname.split('/').pop() ?? '');
    return last.replace(/\.(linnet|gguf)$/i, '') || url;
  } catch {
    return url;
  }
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '');

async function readOffered(): Promise<void> {
  const address = new URL('./models.json', document.baseURI);
  try {
    const response = await fetch(address);
    if (!response.ok) return; // a site without models of its own
    const list = (await response.json()) as unknown;
    if (!Array.isArray(list)) return;
    offered.value = (list as Record<string, unknown>[])
      .filter((each) => typeof each === 'object' && each !== null && text(each['url']))
      .map((each) => {
        const url = new URL(text(each['url']), address).href;
        return {
          url,
          name: text(each['name']) || nameOf(url),
          bytes: typeof each['bytes'] === 'number' ? each['bytes'] : 0,
          license: text(each['license']),
          description: text(each['description']),
        };
      });
  } catch {
    // Offline and never asked before, or not JSON: what is stored is still there.
  }
}

export async function readStored(): Promise<void> {
  try {
    [stored.value, storage.value] = await Promise.all([Linnet.models.list(), Linnet.models.size()]);
    libraryProblem.value = '';
  } catch (error) {
    libraryProblem.value = problemOf(error).text;
  }
}

export async function startLibrary(): Promise<void> {
  await Promise.all([readOffered(), readStored()]);
  libraryRead.value = true;
}

export async function deleteModel(url: string): Promise<void> {
  try {
    await Linnet.models.delete(url);
  } catch (error) {
    libraryProblem.value = problemOf(error).text;
  }
  await readStored();
}

/** The check that runs, or the last one's result. */
export interface Verification {
  url: string;
  progress?: Progress;
  result?: string;
  ok?: boolean;
}
export const verification = signal<Verification | undefined>(undefined);
let verifying: AbortController | undefined;

export async function verify(url: string): Promise<void> {
  verifying?.abort();
  const controller = (verifying = new AbortController());
  verification.value = { url };
  try {
    const { ok, problem } = await Linnet.models.verify(url, {
      signal: controller.signal,
      onProgress: (progress) => {
        if (!controller.signal.aborted) verification.value = { url, progress };
      },
    });
    verification.value = { url, ok, result: ok ? 'All checksums are right.' : problem };
  } catch (error) {
    if (verifying === controller)
      verification.value = isAbort(error) ? undefined : { url, ok: false, result: problemOf(error).text };
  }
}

export const cancelVerify = (): void => verifying?.abort();
