// What the chosen model would take with the settings as they are: asked of the package while the settings are looked at.
import { effect, signal } from '@preact/signals';
import { Linnet, LinnetError, type Plan } from 'linnet';
import { choice, choiceIsStored, loadOptions, modelState } from './model.js';
import { isAbort } from './problems.js';
import { panel } from './screen.js';

export type Preview = { plan: Plan } | { problem: string };

/** undefined: not known, or not to be known before the model is loaded (a GGUF file). */
export const preview = signal<Preview | undefined>(undefined);

const pauseMilliseconds = 250; // while a number is typed

/** Whether some of the model is read from storage for each token. */
export const streams = (plan: Plan): boolean => plan.streamedBytesPerPass > 0 || plan.spilledBytes > 0;

let asking: AbortController | undefined;

async function ask(signal: AbortSignal): Promise<void> {
  const chosen = choice.value;
  if (!chosen) return;
  await new Promise((done) => setTimeout(done, pauseMilliseconds));
  if (signal.aborted) return;
  try {
    const source = chosen.kind === 'url' ? chosen.url : chosen.file;
    const options = { ...loadOptions.value, signal };
    const plan = await Linnet.plan(source, options);
    if (signal.aborted) return;
    preview.value = { plan };
    // How fast that would be takes a second more.
    if (!streams(plan)) return;
    const measured = await Linnet.plan(source, { ...options, measure: true });
    if (!signal.aborted) preview.value = { plan: measured };
  } catch (error) {
    if (isAbort(error) || signal.aborted) return;
    const tells = error instanceof LinnetError && ['does-not-fit', 'bad-argument', 'storage-full'].includes(error.code);
    preview.value = tells ? { problem: error.message } : undefined;
  }
}

effect(() => {
  const state = modelState.value;
  const wanted = panel.value === 'settings' && choice.value !== undefined && choiceIsStored.value && state.kind !== 'loading';
  const options = JSON.stringify(loadOptions.value);
  asking?.abort();
  asking = undefined;
  // The open model says itself what it takes.
  if (!wanted || (state.kind === 'ready' && state.options === options)) {
    preview.value = undefined;
    return;
  }
  void ask((asking = new AbortController()).signal);
});
