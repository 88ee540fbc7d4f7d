// <linnet-chat model="model.linnet">: a chat in any static page. Two lines of HTML: this script, and the element.
import { Linnet, LinnetError } from '../index.js';
import type {
  LoadOptions,
  Model,
  ModelSource,
  Progress,
  PromptOptions,
  Reply,
  ReplyStream,
  Sampling,
  Session,
} from '../types.js';
import { addMessage, addNote, makeParts, type Parts } from './parts.js';
import { render } from './render.js';
import { styleSheet } from './style.js';

type State = 'start' | 'loading' | 'ready' | 'answering';

const PHASES: Record<Progress['phase'], string> = {
  wait: 'Another tab is downloading the model; this one will use it too.',
  download: 'Downloading the model',
  convert: 'Downloading and converting the model',
  verify: 'Checking the model',
  open: 'Opening the model',
};

const NUMBERS = { temperature: 'temperature', 'top-k': 'topK', 'top-p': 'topP', 'min-p': 'minP', seed: 'seed' } as const;

function sizeText(bytes: number): string {
  return bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${Math.max(1, Math.round(bytes / 1e6))} MB`;
}

function timeText(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s left`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} minutes left` : `${(seconds / 3600).toFixed(1)} hours left`;
}

function progressText(progress: Progress): string {
  const parts = [PHASES[progress.phase]];
  if (progress.total > 0) parts.push(`${sizeText(progress.loaded)} of ${sizeText(progress.total)}`);
  if (progress.phase === 'download' || progress.phase === 'convert') {
    if (progress.bytesPerSecond > 0) parts.push(`${sizeText(progress.bytesPerSecond)} a second`);
    if (Number.isFinite(progress.secondsLeft)) parts.push(timeText(progress.secondsLeft));
  }
  return parts.join(' · ');
}

const sentenceOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

// A server that renders pages may import this; there are no elements there.
const Base = globalThis.HTMLElement ?? (class {} as typeof HTMLElement);

export class LinnetChatElement extends Base {
  static readonly observedAttributes = ['model', 'placeholder', 'label'];

  private readonly parts: Parts = makeParts();
  private state: State = 'start';
  private opened: Model | undefined;
  private session: Session | undefined;
  private answer: ReplyStream | undefined;
  private loadController: AbortController | undefined;
  private built = false;

  /** The open model, for what the element itself does not offer. */
  get linnet(): Model | undefined {
    return this.opened;
  }

  connectedCallback(): void {
    if (!this.built) this.build();
    if (this.state === 'start') void this.showStart();
  }

  disconnectedCallback(): void {
    // Moved to another place in the page, it is connected again at once.
    queueMicrotask(() => {
      if (!this.isConnected) void this.unload();
    });
  }

  attributeChangedCallback(name: string, before: string | null, after: string | null): void {
    if (!this.built || before === after) return;
    if (name !== 'model') this.label();
    else void this.unload().then(() => this.showStart());
  }

  /** Gets the model and begins: what the button does. */
  async start(source?: ModelSource): Promise<void> {
    const from = source ?? this.getAttribute('model');
    if (this.state !== 'start' || from === null) return;
    const controller = new AbortController();
    this.loadController = controller;
    this.fail('');
    this.show('loading');
    this.parts.loadingText.textContent = 'Starting …';
    this.parts.progress.removeAttribute('value');
    this.parts.cancel.focus();
    try {
      const model = await Linnet.load(from, this.loadOptions(controller.signal));
      this.opened = model;
      this.session = await this.newSession(model);
      this.parts.about.textContent = `${model.info.name} · on this device`;
      this.show('ready');
      this.say('The model is ready.');
      this.parts.text.focus();
      this.tell('linnet-ready', { model });
    } catch (error) {
      const cancelled = controller.signal.aborted;
      await this.unload();
      if (!cancelled) this.fail(error);
      await this.showStart();
    }
  }

  /** Asks as if it had been typed; the reply, or undefined where there was an error, which is shown. */
  async ask(text: string): Promise<Reply | undefined> {
    const { session } = this;
    if (session === undefined || this.state !== 'ready') return undefined;
    const question = addMessage(this.parts.log, 'user');
    render(question.body, text);
    const reply = await this.follow(session.stream(text, this.promptOptions()));
    if (reply === undefined || (reply.finish === 'cancelled' && reply.text === '')) {
      // Not part of the conversation: back to where it can be changed.
      question.article.remove();
      if (this.parts.text.value === '') this.parts.text.value = text;
    }
    return reply;
  }

  /** Gives the model's memory back. */
  async unload(): Promise<void> {
    this.loadController?.abort();
    const model = this.opened;
    this.opened = this.session = this.answer = undefined;
    this.parts.log.replaceChildren();
    this.show('start');
    await model?.unload();
  }

  private build(): void {
    this.built = true;
    const { parts } = this;
    const root = this.attachShadow({ mode: 'open', delegatesFocus: true });
    root.adoptedStyleSheets = [styleSheet()];
    root.append(parts.section);
    this.label();
    parts.startButton.addEventListener('click', () => void this.start(parts.file.files?.[0]));
    parts.file.addEventListener('change', () => (parts.startButton.disabled = parts.file.files?.length !== 1));
    parts.cancel.addEventListener('click', () => this.loadController?.abort());
    parts.stop.addEventListener('click', () => this.answer?.cancel());
    parts.again.addEventListener('click', () => void this.answerAgain());
    parts.clear.addEventListener('click', () => void this.clear());
    parts.form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.send();
    });
    parts.text.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.send();
    });
    parts.section.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') this.answer?.cancel();
    });
    this.show('start');
  }

  private label(): void {
    this.parts.section.setAttribute('aria-label', this.getAttribute('label') ?? 'Chat');
    this.parts.text.placeholder = this.getAttribute('placeholder') ?? 'Ask something';
  }

  private show(state: State): void {
    this.state = state;
    const { parts } = this;
    const chatting = state === 'ready' || state === 'answering';
    const focused = this.shadowRoot?.activeElement;
    parts.start.hidden = state !== 'start';
    parts.loading.hidden = state !== 'loading';
    parts.log.hidden = parts.form.hidden = parts.footer.hidden = !chatting;
    parts.send.hidden = state === 'answering';
    parts.stop.hidden = state !== 'answering';
    parts.log.setAttribute('aria-busy', String(state === 'answering'));
    parts.again.hidden = state !== 'ready' || this.session?.messages.at(-1)?.role !== 'assistant';
    parts.clear.disabled = state !== 'ready';
    // Who is on a button that goes away stays in the chat.
    if (focused === parts.send && state === 'answering') parts.stop.focus();
    else if (chatting && (focused === parts.stop || focused === parts.again)) parts.text.focus();
  }

  /** What will happen, before it does: how much is downloaded, from where, and where it is kept. */
  private async showStart(): Promise<void> {
    const { startText, startButton, fileLabel } = this.parts;
    const model = this.getAttribute('model');
    this.show('start');
    fileLabel.hidden = model !== null;
    startButton.textContent = 'Start the chat';
    if (model === null) {
      startText.textContent = 'Choose a model file of this device (.linnet or .gguf). It is not sent anywhere.';
      startButton.disabled = this.parts.file.files?.length !== 1;
      return;
    }
    startText.textContent = 'This chat runs on your device. What you write is not sent anywhere.';
    startButton.disabled = true;
    const { ok, features } = await Linnet.check();
    if (!ok) {
      this.fail(features.webAssembly.available ? features.simd.reason : features.webAssembly.reason);
      return;
    }
    const url = new URL(model, this.baseURI);
    const stored = await Linnet.models.list().catch(() => []);
    const here = stored.find((each) => each.url === url.href);
    startButton.disabled = false;
    if (here?.complete === true) {
      if (this.hasAttribute('autostart')) void this.start();
      return;
    }
    const bytes = await fetch(url, { method: 'HEAD' })
      .then((answer) => (answer.ok ? Number(answer.headers.get('Content-Length') ?? 0) : 0))
      .catch(() => 0);
    if (this.state !== 'start' || this.getAttribute('model') !== model) return;
    const left = here === undefined ? bytes : Math.max(0, bytes - here.bytes);
    const size = bytes > 0 ? sizeText(bytes) : 'a size that the server does not tell';
    const partly = here !== undefined && here.bytes > 0 ? ` ${sizeText(here.bytes)} of it are here already.` : '';
    startText.textContent =
      'This chat runs on your device. What you write is not sent anywhere. For that a model is downloaded once from ' +
      `${url.host} (${size}) and kept in this browser.${partly}`;
    startButton.textContent = left > 0 ? `Download ${sizeText(left)} and start` : 'Download and start';
  }

  private loadOptions(signal: AbortSignal): LoadOptions {
    const options: LoadOptions = {
      signal,
      onProgress: (progress) => {
        this.parts.loadingText.textContent = progressText(progress);
        if (progress.total > 0) this.parts.progress.value = progress.loaded / progress.total;
        else this.parts.progress.removeAttribute('value');
      },
    };
    const context = this.getAttribute('context');
    const memory = this.getAttribute('memory');
    const threads = this.getAttribute('threads');
    const assets = this.getAttribute('assets');
    if (context !== null) options.context = Number(context);
    if (memory !== null) options.memory = memory;
    if (threads !== null) options.threads = threads === 'auto' ? threads : Number(threads);
    if (assets !== null) options.assets = new URL(assets, this.baseURI);
    return options;
  }

  private newSession(model: Model): Promise<Session> {
    const sampling: Sampling = {};
    for (const [attribute, name] of Object.entries(NUMBERS)) {
      const value = this.getAttribute(attribute);
      if (value !== null) sampling[name] = Number(value);
    }
    const system = this.getAttribute('system') ?? '';
    return model.session(system === '' ? { sampling } : { system, sampling });
  }

  private promptOptions(): PromptOptions {
    const most = this.getAttribute('max-tokens');
    return most === null ? {} : { maxTokens: Number(most) };
  }

  private send(): void {
    const text = this.parts.text.value.trim();
    if (text === '' || this.state !== 'ready') return;
    this.parts.text.value = '';
    void this.ask(text);
  }

  private async answerAgain(): Promise<void> {
    if (this.session === undefined || this.state !== 'ready') return;
    const last = this.parts.log.lastElementChild;
    if (last instanceof HTMLElement) last.hidden = true;
    const reply = await this.follow(this.session.regenerate(this.promptOptions()));
    // Stopped before a word, or failed: the answer before stays.
    if (reply === undefined || (reply.finish === 'cancelled' && reply.text === '')) {
      if (last instanceof HTMLElement) last.hidden = false;
    } else {
      last?.remove();
    }
  }

  private async clear(): Promise<void> {
    if (this.opened === undefined || this.state !== 'ready') return;
    await this.session?.close();
    this.session = await this.newSession(this.opened);
    this.parts.log.replaceChildren();
    this.show('ready');
    this.say('A new conversation has begun.');
    this.parts.text.focus();
  }

  /** Shows an answer while it comes. */
  private async follow(answer: ReplyStream): Promise<Reply | undefined> {
    const { log } = this.parts;
    const { article, body } = addMessage(log, 'assistant');
    article.classList.add('waiting');
    this.answer = answer;
    this.fail('');
    this.show('answering');
    this.say('Answering.');
    log.scrollTop = log.scrollHeight;
    let text = '';
    let frame = 0;
    const draw = (): void => {
      frame = 0;
      const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 48;
      render(body, text);
      if (atEnd) log.scrollTop = log.scrollHeight;
    };
    try {
      for await (const piece of answer) {
        text += piece;
        if (frame === 0) frame = requestAnimationFrame(draw);
      }
      const reply = await answer.reply;
      if (frame !== 0) cancelAnimationFrame(frame);
      draw();
      this.finish(article, reply);
      return reply;
    } catch (error) {
      article.remove();
      if (!(error instanceof LinnetError && error.code === 'closed')) this.fail(error);
      return undefined;
    } finally {
      article.classList.remove('waiting');
      if (this.answer === answer) {
        this.answer = undefined;
        this.show('ready');
      }
    }
  }

  private finish(article: HTMLElement, reply: Reply): void {
    if (reply.text === '' && reply.finish === 'cancelled') article.remove();
    else if (reply.finish === 'cancelled') addNote(article, 'Stopped.');
    else if (reply.finish === 'length') addNote(article, 'The answer has reached its longest length.');
    else if (reply.finish === 'context') addNote(article, 'The context is full, and the answer ends here.');
    if (reply.usage.forgottenMessages > 0) addNote(article, 'The oldest messages are no longer known to the model.');
    this.say(reply.finish === 'cancelled' ? 'Stopped.' : reply.text);
    this.tell('linnet-reply', { reply });
  }

  private say(text: string): void {
    this.parts.status.textContent = text;
  }

  /** An error as a sentence; '' takes it away. */
  private fail(error: unknown): void {
    const text = error === '' ? '' : sentenceOf(error);
    this.parts.problem.textContent = text;
    this.parts.problem.hidden = text === '';
    if (text !== '') this.tell('linnet-error', { error });
  }

  private tell(name: string, detail: object): void {
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }));
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'linnet-chat': LinnetChatElement;
  }
}

if (globalThis.customElements !== undefined && customElements.get('linnet-chat') === undefined) {
  customElements.define('linnet-chat', LinnetChatElement);
}
