// The elements of the chat, made one by one.

type Attributes = Record<string, string>;

function make<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  attributes: Attributes = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[Name] {
  const element = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) element.setAttribute(attribute, value);
  element.append(...children);
  return element;
}

export interface Parts {
  section: HTMLElement;
  /** Before a model is there. */
  start: HTMLElement;
  startText: HTMLElement;
  startButton: HTMLButtonElement;
  file: HTMLInputElement;
  fileLabel: HTMLElement;
  /** While it comes. */
  loading: HTMLElement;
  loadingText: HTMLElement;
  progress: HTMLProgressElement;
  cancel: HTMLButtonElement;
  /** The conversation. */
  log: HTMLElement;
  problem: HTMLElement;
  form: HTMLFormElement;
  text: HTMLTextAreaElement;
  send: HTMLButtonElement;
  stop: HTMLButtonElement;
  footer: HTMLElement;
  about: HTMLElement;
  again: HTMLButtonElement;
  clear: HTMLButtonElement;
  /** What a screen reader says. */
  status: HTMLElement;
}

export function makeParts(): Parts {
  const startText = make('p');
  const startButton = make('button', { type: 'button' });
  const file = make('input', { type: 'file', id: 'file', accept: '.linnet,.gguf' });
  const fileLabel = make('p', {}, make('label', { for: 'file' }, 'Model file '), file);
  const loadingText = make('p', { id: 'loading' });
  const progress = make('progress', { 'aria-labelledby': 'loading', max: '1' });
  const cancel = make('button', { type: 'button', class: 'second' }, 'Cancel');
  const text = make('textarea', { id: 'text', rows: '1', 'aria-describedby': 'keys', enterkeyhint: 'send' });
  const send = make('button', { type: 'submit' }, 'Send');
  const stop = make('button', { type: 'button', class: 'second' }, 'Stop');
  const about = make('span');
  const again = make('button', { type: 'button' }, 'Answer again');
  const clear = make('button', { type: 'button' }, 'New conversation');
  const parts: Omit<Parts, 'section'> = {
    start: make('div', { class: 'start' }, startText, fileLabel, startButton),
    startText,
    startButton,
    file,
    fileLabel,
    loading: make('div', { class: 'loading' }, loadingText, make('p', {}, progress), cancel),
    loadingText,
    progress,
    cancel,
    log: make('div', { class: 'log', role: 'log', 'aria-live': 'off', 'aria-label': 'Conversation', tabindex: '0' }),
    problem: make('p', { class: 'problem', role: 'alert', hidden: '' }),
    form: make(
      'form',
      {},
      make('label', { class: 'unseen', for: 'text' }, 'Message'),
      make('span', { class: 'unseen', id: 'keys' }, 'Enter sends, Shift and Enter begin a new line, Escape stops an answer.'),
      text,
      send,
      stop,
    ),
    text,
    send,
    stop,
    footer: make('footer', {}, about, make('span', {}, again, clear)),
    about,
    again,
    clear,
    status: make('div', { class: 'unseen', role: 'status' }),
  };
  const section = make(
    'section',
    {},
    parts.start,
    parts.loading,
    parts.log,
    parts.problem,
    parts.form,
    parts.footer,
    parts.status,
  );
  return { section, ...parts };
}

/** One message of the conversation; its text goes into what is returned. */
export function addMessage(log: HTMLElement, role: 'user' | 'assistant'): { article: HTMLElement; body: HTMLElement } {
  const body = make('div');
  const article = make(
    'article',
    { class: `message ${role}` },
    make('span', { class: 'unseen' }, role === 'user' ? 'You:' : 'Answer:'),
    body,
  );
  log.append(article);
  return { article, body };
}

export function addNote(article: HTMLElement, text: string): void {
  article.append(make('p', { class: 'note' }, text));
}
