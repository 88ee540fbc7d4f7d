// The page's own line icons, 24 by 24, and the bird.
const paths = {
  menu: 'M4 7h16M4 12h16M4 17h10',
  plus: 'M12 5v14M5 12h14',
  send: 'M12 19V5M6 11l6-6 6 6',
  stop: 'M7.5 7.5h9v9h-9z',
  copy: 'M9 9h10v10H9zM15 9V5H5v10h4',
  done: 'M5 12.5l4.5 4.5L19 7.5',
  edit: 'M5 19h3.5L19 8.5 15.5 5 5 15.5zM13 7.5l3.5 3.5',
  again: 'M19 12a7 7 0 1 1-2.2-5.1M19 4v4h-4',
  more: 'M6 12h.01M12 12h.01M18 12h.01',
  close: 'M6 6l12 12M18 6L6 18',
  settings: 'M4 8h9M17 8h3M4 16h3M11 16h9M13 8a2 2 0 1 0 4 0 2 2 0 1 0-4 0M7 16a2 2 0 1 0 4 0 2 2 0 1 0-4 0',
  model: 'M12 3.5l7.5 4.25v8.5L12 20.5l-7.5-4.25v-8.5zM4.5 7.75L12 12l7.5-4.25M12 12v8.5',
  download: 'M12 4v11M7 10.5l5 5 5-5M5 20h14',
  trash: 'M5 7h14M10 7V4.5h4V7M7 7l.8 12.5h8.4L17 7',
  down: 'M12 5v14M6 13l6 6 6-6',
  lock: 'M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3',
  offline: 'M4 4l16 16M8.5 14.5a5 5 0 0 1 5-1.2M5 11a10 10 0 0 1 4-2.3M13 8.1a10 10 0 0 1 6 2.9M12 18.5h.01',
  chip: 'M8 8h8v8H8zM5 5h14v14H5zM9 2.5V5M15 2.5V5M9 19v2.5M15 19v2.5M2.5 9H5M2.5 15H5M19 9h2.5M19 15h2.5',
  file: 'M7 3.5h7l4 4v13H7zM14 3.5v4h4',
  check: 'M12 3.5l7 2.5v5.5c0 4.5-3 7.5-7 9-4-1.5-7-4.5-7-9V6zM9 12l2.2 2.2L15.2 10',
  warning: 'M12 4.5L3.5 19h17zM12 10v4.5M12 16.8h.01',
} as const;

export type IconName = keyof typeof paths;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class={`icon icon-${name}`} viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={paths[name]} />
    </svg>
  );
}

export function Bird({ class: className = '' }: { class?: string }) {
  return (
    <svg class={`bird ${className}`} viewBox="108 100 340 300" aria-hidden="true" focusable="false">
      <path class="bird-dark" d="M114 388 206 250l56 80z" />
      <path class="bird-body" d="M160 262c0-94 66-150 140-150 56 0 94 38 94 92 0 102-68 174-180 182-36-26-54-68-54-124z" />
      <path class="bird-breast" d="M394 204c0 102-68 174-180 182 40-34 48-86 86-124 30-30 66-36 93-48z" />
      <path class="bird-dark" d="M168 226c46 0 94 26 112 74-44 30-90 44-130 52-4-46 2-90 18-126z" />
      <path class="bird-beak" d="m386 168 58 24-53 24z" />
      <circle class="bird-eye" cx="338" cy="176" r="17" />
      <circle class="bird-light" cx="344" cy="170" r="5" />
    </svg>
  );
}
