// Short messages at the page's foot: what happened, and at most one thing that can be done about it.
import { signal } from '@preact/signals';
import { newId } from './types.js';

export interface Notice {
  id: string;
  text: string;
  tone?: 'plain' | 'problem';
  action?: string;
  run?: () => unknown;
  /** Stays until it is closed. */
  stays?: boolean;
}

export const notices = signal<Notice[]>([]);

export function notify(notice: Omit<Notice, 'id'> & { id?: string }): void {
  const id = notice.id ?? newId();
  notices.value = [...notices.value.filter((each) => each.id !== id), { ...notice, id }].slice(-3);
  if (!notice.stays && notice.tone !== 'problem') setTimeout(() => dismiss(id), notice.action ? 10_000 : 5_000);
}

export const dismiss = (id: string): void => void (notices.value = notices.value.filter((each) => each.id !== id));

/** What a screen reader says; the sentence is set once it is whole, never word by word. */
export const announcement = signal('');
export function announce(text: string): void {
  // The same sentence twice is said twice only when the text changes in between.
  announcement.value = '';
  setTimeout(() => (announcement.value = text), 50);
}
