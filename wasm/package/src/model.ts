// An open model as the page holds it.
import type { Connection } from './connection.js';
import { LinnetError } from './errors.js';
import { checkName, checkNames, checkPrompt, checkSession, checkText, checkTokens } from './options.js';
import { SessionHandle } from './session.js';
import { sweepScratch } from './store/scratch_file.js';
import { AnswerStream } from './stream.js';
import type {
  LogitsOptions,
  MemoryUse,
  Model,
  ModelInfo,
  Plan,
  PromptOptions,
  ReplyStream,
  SavedSession,
  Session,
  SessionOptions,
} from './types.js';

export class ModelHandle implements Model {
  constructor(
    readonly connection: Connection, // the package's own, no part of Model
    readonly info: ModelInfo,
    readonly plan: Plan,
  ) {}

  async session(options: SessionOptions = {}): Promise<Session> {
    return new SessionHandle(this.connection, await this.connection.call('open', checkSession(options)));
  }

  async restore(name: string): Promise<Session> {
    return new SessionHandle(this.connection, await this.connection.call('restore', { name: checkName(name) }));
  }

  async saved(): Promise<SavedSession[]> {
    return this.connection.call('saved', null);
  }

  async forget(name: string): Promise<void> {
    await this.connection.call('forget', { name: checkName(name) });
  }

  async tokenize(text: string): Promise<Int32Array> {
    return this.connection.call('tokenize', { text: checkText(text, 'model.tokenize') });
  }

  async detokenize(tokens: ArrayLike<number>): Promise<string> {
    return this.connection.call('detokenize', { tokens: checkTokens(tokens, 'model.detokenize') });
  }

  async countTokens(text: string): Promise<number> {
    return (await this.connection.call('tokenize', { text: checkText(text, 'model.countTokens') })).length;
  }

  complete(text: string, options: PromptOptions = {}): ReplyStream {
    const checked = checkPrompt(options, 'model.complete');
    const input = { text: checkText(text, 'model.complete'), options: checked };
    return new AnswerStream(
      (signal, event) => this.connection.call('complete', input, { signal, event, keep: true }),
      options.signal,
      options.onPrefill,
    );
  }

  async logitsHash(tokens: ArrayLike<number>, options: LogitsOptions = {}): Promise<string> {
    checkNames(options, ['signal'], 'model.logitsHash');
    const { signal } = options;
    return this.connection.call(
      'logitsHash',
      { tokens: checkTokens(tokens, 'model.logitsHash') },
      signal === undefined ? {} : { signal },
    );
  }

  async memory(): Promise<MemoryUse> {
    return this.connection.call('memory', null);
  }

  async unload(): Promise<void> {
    this.connection.end(new LinnetError('closed', 'The model was unloaded: load it again.'));
    // What its worker had put aside: a worker that is ended removes nothing.
    if (this.plan.pageBytes > 0) await sweepScratch(true);
  }
}
