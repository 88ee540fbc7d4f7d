// A button with a small menu: arrow keys go through it, Escape and a click elsewhere close it.
import { useId, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { Icon, type IconName } from './icon.js';
import { IconButton } from './controls.js';

export interface MenuItem {
  label: string;
  icon: IconName;
  danger?: boolean;
  run: () => unknown;
}

export function Menu({ label, items, class: className = '' }: { label: string; items: MenuItem[]; class?: string }) {
  const [open, setOpen] = useState(false);
  const id = useId();
  const holder = useRef<HTMLDivElement>(null);
  const list = useRef<HTMLDivElement>(null);
  const buttonOf = (): HTMLElement | null | undefined => holder.current?.querySelector<HTMLElement>('.icon-button');

  // Before it is seen: it stands at its place and has the focus, so that the first arrow key counts.
  useLayoutEffect(() => {
    const menu = list.current;
    const button = buttonOf();
    if (!open || !menu || !button) return;
    // Beside its button, above it where there is no room below.
    const at = button.getBoundingClientRect();
    const below = innerHeight - at.bottom > menu.offsetHeight + 12;
    menu.style.top = `${below ? at.bottom + 4 : at.top - menu.offsetHeight - 4}px`;
    menu.style.left = `${Math.max(8, Math.min(at.right - menu.offsetWidth, innerWidth - menu.offsetWidth - 8))}px`;
    menu.querySelector<HTMLElement>('button')?.focus();
    const closeOutside = (event: Event): void => {
      if (!holder.current?.contains(event.target as Node)) setOpen(false);
    };
    document.addEventListener('pointerdown', closeOutside);
    addEventListener('resize', closeOutside);
    return () => {
      document.removeEventListener('pointerdown', closeOutside);
      removeEventListener('resize', closeOutside);
    };
  }, [open]);

  const close = (): void => {
    setOpen(false);
    buttonOf()?.focus();
  };

  const onKeyDown = (event: KeyboardEvent): void => {
    const buttons = [...(list.current?.querySelectorAll<HTMLElement>('button') ?? [])];
    const at = buttons.indexOf(document.activeElement as HTMLElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1 + buttons.length, Home: 0, End: buttons.length - 1 }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      buttons[to % buttons.length]?.focus();
    } else if (event.key === 'Escape') {
      event.preventDefault();
      event.stopPropagation();
      close();
    } else if (event.key === 'Tab') {
      setOpen(false);
    }
  };

  return (
    <div class={`menu ${className}`} ref={holder} onKeyDown={open ? onKeyDown : undefined}>
      <IconButton icon="more" label={label} expanded={open} onClick={() => setOpen(!open)} />
      {open && (
        <div class="menu-list" role="menu" aria-label={label} id={id} ref={list}>
          {items.map((item) => (
            <button
              type="button"
              role="menuitem"
              tabIndex={-1}
              class={item.danger ? 'danger' : ''}
              key={item.label}
              onClick={() => {
                close();
                item.run();
              }}
            >
              <Icon name={item.icon} />
              {item.label}
            </button>
          ))}
        </div>
      )}
    </div>
  );
}
