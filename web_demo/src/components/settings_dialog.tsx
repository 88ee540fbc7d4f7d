// Settings: how it looks, how it answers, what it may take of the device, and what this browser can do.
import * as format from '../lib/format.js';
import { load, loadIsStale, modelState } from '../state/model.js';
import { preview } from '../state/plan.js';
import { show } from '../state/screen.js';
import { defaults, reset, set, settings, type Settings, type Theme } from '../state/settings.js';
import { check } from '../state/site.js';
import { Button, Field, NumberField } from './controls.js';
import { Dialog } from './dialog.js';
import { Icon } from './icon.js';
import { PlanFigures } from './plan.js';

interface Numbered {
  name: Exclude<keyof Settings, 'theme' | 'system'>;
  label: string;
  hint: string;
  min: number;
  max: number;
  step: number | 'any';
  empty?: string;
}

const answers: Numbered[] = [
  {
    name: 'temperature',
    label: 'Temperature',
    hint: '0 always takes the likeliest word; higher is freer.',
    min: 0,
    max: 10,
    step: 'any',
  },
  { name: 'topK', label: 'Top-k', hint: 'Choose among this many words; 0: all.', min: 0, max: 1000, step: 1 },
  { name: 'topP', label: 'Top-p', hint: 'Choose among those that make up this share.', min: 0.01, max: 1, step: 'any' },
  { name: 'minP', label: 'Min-p', hint: 'Leave out what is this much rarer than the best.', min: 0, max: 1, step: 'any' },
  {
    name: 'repetitionPenalty',
    label: 'Repetition penalty',
    hint: '1: none; higher says less twice.',
    min: 0.1,
    max: 10,
    step: 'any',
  },
  { name: 'maxTokens', label: 'Longest answer', hint: 'In tokens, about ¾ of a word each.', min: 1, max: 131072, step: 1 },
  {
    name: 'seed',
    label: 'Seed',
    hint: 'The same seed gives the same answer.',
    min: 0,
    max: 4294967295,
    step: 1,
    empty: 'another each time',
  },
];

const device: Numbered[] = [
  {
    name: 'context',
    label: 'Context',
    hint: 'Tokens that it can keep in mind.',
    min: 64,
    max: 131072,
    step: 1,
    empty: 'the model’s, at most 4096',
  },
  {
    name: 'threads',
    label: 'Threads',
    hint: 'Processor cores to compute with.',
    min: 1,
    max: 64,
    step: 1,
    empty: 'as many as help',
  },
];

const memory: Numbered[] = [
  {
    name: 'memory',
    label: 'Memory, MB',
    hint: 'The most that it may take. With less than it needs, more of the model is read from this device’s storage for each word.',
    min: 1,
    max: 16000,
    step: 1,
    empty: 'what it needs',
  },
];

function Numbers({ fields, wide = false }: { fields: Numbered[]; wide?: boolean }) {
  return (
    <div class={wide ? 'grid wide' : 'grid'}>
      {fields.map(({ name, ...field }) => (
        <NumberField
          key={name}
          id={`setting-${name}`}
          {...field}
          value={settings.value[name]}
          onChange={(value) => set(name, (value ?? defaults[name]) as never)}
        />
      ))}
    </div>
  );
}

const themes: [Theme, string][] = [
  ['auto', 'As the device'],
  ['light', 'Light'],
  ['dark', 'Dark'],
];

function ThemeSwitch() {
  return (
    <fieldset class="switch">
      <legend>Look</legend>
      {themes.map(([theme, label]) => (
        <label key={theme}>
          <input type="radio" name="theme" checked={settings.value.theme === theme} onChange={() => set('theme', theme)} />
          <span>{label}</span>
        </label>
      ))}
    </fieldset>
  );
}

function Plan() {
  const state = modelState.value;
  if (state.kind !== 'ready') return <Preview />;
  const { plan, info } = state.model;
  return (
    <>
      <PlanFigures plan={plan} />
      <p class="hint">
        {state.choice.name}. Kernels: {info.kernels}, {format.count(info.threads, 'thread')}.
      </p>
    </>
  );
}

/** What these settings would come to. */
function Preview() {
  const found = preview.value;
  if (!found) return null;
  if ('plan' in found) return <PlanFigures plan={found.plan} />;
  return <p class="hint bad">{found.problem}</p>;
}

const names: Record<string, string> = {
  webAssembly: 'WebAssembly',
  simd: 'SIMD',
  relaxedSimd: 'Relaxed SIMD',
  threads: 'Threads',
  storage: 'Storage',
  persistence: 'Lasting storage',
  storageSpace: 'Room',
  locks: 'Several tabs',
};

function ThisBrowser() {
  const found = check.value;
  if (!found) return <p class="hint">Looking…</p>;
  return (
    <dl class="features">
      {Object.entries(found.features).map(([name, feature]) => (
        <div key={name} class={feature.available ? 'feature' : 'feature missing'}>
          <dt>
            <Icon name={feature.available ? 'done' : 'close'} />
            {names[name] ?? name}
            <span class="unseen">{feature.available ? ': there' : ': not there'}</span>
          </dt>
          <dd>{feature.reason}</dd>
        </div>
      ))}
    </dl>
  );
}

export function SettingsDialog() {
  const state = modelState.value;
  return (
    <Dialog title="Settings" onClose={() => show('')} class="settings">
      <ThemeSwitch />
      <h3 class="section">Answers</h3>
      <Field
        id="setting-system"
        label="System prompt"
        hint="Said to the model before every conversation. It holds from the next answer on."
      >
        <textarea
          id="setting-system"
          rows={3}
          value={settings.value.system}
          aria-describedby="setting-system-hint"
          placeholder="You are a helpful assistant who answers briefly."
          onInput={(event) => set('system', event.currentTarget.value)}
        />
      </Field>
      <Numbers fields={answers} />
      <h3 class="section">This device</h3>
      <Numbers fields={device} />
      <Numbers fields={memory} wide />
      {loadIsStale.value && state.kind === 'ready' ? (
        <>
          <Preview />
          <div class="row stale" role="status">
            <span>These hold when the model is opened anew.</span>
            <Button kind="primary" onClick={() => load(state.choice)}>
              Open it anew
            </Button>
          </div>
        </>
      ) : (
        <Plan />
      )}
      <p class="hint">
        <a href="./bench.html">Measure how fast a model runs on this device</a>
      </p>
      <h3 class="section">This browser</h3>
      <ThisBrowser />
      <div class="row end">
        <Button kind="quiet" onClick={reset}>
          Reset all but the look
        </Button>
      </div>
    </Dialog>
  );
}
