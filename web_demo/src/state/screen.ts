// Which panel is open, and how wide the page is.
import { signal } from '@preact/signals';

export type Panel = '' | 'models' | 'settings' | 'conversations';
export const panel = signal<Panel>('');
export const show = (name: Panel): void => void (panel.value = name);

const wide = matchMedia('(min-width: 860px)');
export const isWide = signal(wide.matches);
wide.addEventListener('change', () => {
  isWide.value = wide.matches;
  if (wide.matches && panel.value === 'conversations') panel.value = '';
});
