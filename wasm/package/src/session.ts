// A conversation as the page holds it; the worker has the other end.
import type { Connection } from './connection.js';
import { LinnetError } from './errors.js';
import { checkName, checkPrompt, checkText } from './options.js';
import type { SessionState } from './protocol.js';
import { AnswerStream } from './stream.js';
import type { Message, PromptOptions, Reply, ReplyStream, SavedSession, Session } from './types.js';

export class SessionHandle implements Session {
  readonly system: string;
  private readonly id: number;
  private said: readonly Message[];
  private readonly running = new Set<AnswerStream>();
  private closed = false;

  constructor(
    private readonly connection: Connection,
    state: SessionState,
  ) {
    this.id = state.session;
    this.system = state.system;
    this.said = state.messages;
  }

  get messages(): readonly Message[] {
    return this.said;
  }

  stream(text: string, options: PromptOptions = {}): ReplyStream {
    return this.ask(checkText(text, 'session.stream'), options, 'session.stream');
  }

  async prompt(text: string, options: PromptOptions = {}): Promise<Reply> {
    return this.ask(checkText(text, 'session.prompt'), options, 'session.prompt').reply;
  }

  regenerate(options: PromptOptions = {}): ReplyStream {
    return this.ask(null, options, 'session.regenerate');
  }

  async rewind(length: number): Promise<void> {
    this.checkOpen();
    if (!Number.isInteger(length) || length < 0) {
      throw new LinnetError('bad-argument', 'session.rewind takes the number of messages that stay.');
    }
    this.said = await this.connection.call('rewind', { session: this.id, length });
  }

  async clone(): Promise<Session> {
    this.checkOpen();
    return new SessionHandle(this.connection, await this.connection.call('clone', { session: this.id }));
  }

  async save(name: string): Promise<SavedSession> {
    this.checkOpen();
    return this.connection.call('save', { session: this.id, name: checkName(name) });
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    for (const answer of this.running) answer.cancel();
    // A model that was unloaded has closed its sessions.
    if (!this.connection.closed) await this.connection.call('close', { session: this.id });
  }

  private ask(text: string | null, options: PromptOptions, where: string): AnswerStream {
    this.checkOpen();
    const checked = checkPrompt(options, where);
    const answer = new AnswerStream(
      async (signal, event) => {
        const result = await this.connection.call(
          'ask',
          { session: this.id, text, options: checked },
          { signal, event, keep: true },
        );
        this.said = result.messages;
        return result.reply;
      },
      options.signal,
      options.onPrefill,
    );
    this.running.add(answer);
    const done = (): unknown => this.running.delete(answer);
    answer.reply.then(done, done);
    return answer;
  }

  private checkOpen(): void {
    if (this.closed) throw new LinnetError('closed', 'This session was closed: open another with model.session().');
  }
}
