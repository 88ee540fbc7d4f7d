// Errors as a person meets them: the package's own sentence, and what can be done from here.
import { LinnetError } from 'linnet';

export type Remedy = 'retry' | 'models' | 'settings' | 'reload';

export interface Problem {
  text: string;
  remedies: Remedy[];
}

const remediesOf: Record<string, Remedy[]> = {
  'bad-argument': ['settings'],
  unsupported: ['models'],
  'bad-file': ['models'],
  'does-not-fit': ['settings', 'models'],
  network: ['retry', 'models'],
  'not-found': ['models', 'retry'],
  changed: ['models', 'retry'],
  'storage-full': ['models', 'retry'],
  storage: ['retry', 'models'],
  offline: ['retry', 'models'],
  busy: ['retry'],
  closed: ['retry'],
  worker: ['retry', 'reload'],
};

export const isAbort = (error: unknown): boolean => error instanceof DOMException && error.name === 'AbortError';

export function problemOf(error: unknown): Problem {
  if (error instanceof LinnetError) return { text: error.message, remedies: remediesOf[error.code] ?? ['retry'] };
  console.error(error);
  const text = error instanceof Error && error.message ? error.message : String(error);
  return { text: `Something went wrong that should not have: ${text}`, remedies: ['retry', 'reload'] };
}
