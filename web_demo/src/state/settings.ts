// Settings, kept in localStorage, the same for all conversations.
import { effect, signal } from '@preact/signals';

export type Theme = 'auto' | 'light' | 'dark';

export interface Settings {
  theme: Theme;
  system: string;
  temperature: number;
  topK: number;
  topP: number;
  minP: number;
  repetitionPenalty: number;
  maxTokens: number;
  /** null: another one each time. */
  seed: number | null;
  /** null: the model's own, at most 4096. */
  context: number | null;
  /** null: what suits this device. */
  threads: number | null;
  /** Megabytes of 10^6; null: what the model needs. */
  memory: number | null;
}

export const defaults: Settings = {
  theme: 'auto',
  system: '',
  temperature: 0.7,
  topK: 40,
  topP: 0.95,
  minP: 0.05,
  repetitionPenalty: 1.1, // small models say the same again and again without it
  maxTokens: 1024,
  seed: null,
  context: null,
  threads: null,
  memory: null,
};

const key = 'linnet-settings';

function read(): Settings {
  try {
    const kept = JSON.parse(localStorage.getItem(key) ?? '{}') as Record<string, unknown>;
    const settings: Record<string, unknown> = { ...defaults };
    for (const [name, value] of Object.entries(defaults)) {
      const found = kept[name];
      const nullable = value === null && (found === null || typeof found === 'number');
      if (nullable || typeof found === typeof value) settings[name] = found;
    }
    return settings as unknown as Settings;
  } catch {
    return defaults;
  }
}

export const settings = signal<Settings>(read());

export function set<Name extends keyof Settings>(name: Name, value: Settings[Name]): void {
  settings.value = { ...settings.value, [name]: value };
}

export const reset = (): void => void (settings.value = { ...defaults, theme: settings.value.theme });

effect(() => {
  const { theme } = settings.value;
  if (theme === 'auto') delete document.documentElement.dataset['theme'];
  else document.documentElement.dataset['theme'] = theme;
  try {
    localStorage.setItem(key, JSON.stringify(settings.value));
  } catch {
    // They hold for this visit.
  }
});

addEventListener('storage', (event) => {
  if (event.key === key) settings.value = read();
});
