// A conversation: what was said, and the tokens that stand for it. A question that goes on from the last answer evaluates only
// what is new; when the context is full the oldest messages are left out, as in the terminal's chat.
import { LinnetError } from '../errors.js';
import type { AnswerEvent, AnswerOptions } from '../protocol.js';
import type { Message, Reply, Sampling } from '../types.js';
import { generate } from './answer.js';
import type { Engine } from './engine.js';
import { CHAT_ANSWER, CHAT_CONTINUES } from './module.js';

/** After so many messages the conversation was these tokens; `forgotten` of the messages are not in them. */
export interface Mark {
  messages: number;
  tokens: number;
  forgotten: number;
}

/** All of a conversation's state: copied by clone, written by save. */
export interface ConversationState {
  system: string;
  messages: Message[];
  sampling: Sampling;
  /** Of everything up to the last mark. */
  history: Int32Array;
  /** After each answer, oldest first. Empty: the tokens have to be made from the messages. */
  marks: Mark[];
}

export class Conversation {
  constructor(
    private readonly engine: Engine,
    readonly state: ConversationState,
  ) {}

  /** Refuses what the model's template has no place for. */
  static begin(engine: Engine, system: string, messages: Message[], sampling: Sampling): Conversation {
    if (!engine.info.hasTokenizer) {
      throw new LinnetError('unsupported', 'This model file has no tokenizer, so it cannot be talked with.');
    }
    const trial: Message[] = system === '' ? [] : [{ role: 'system', content: system }];
    trial.push(...messages);
    if (messages.at(-1)?.role !== 'user') trial.push({ role: 'user', content: '?' });
    engine.chatTokens(trial, CHAT_ANSWER);
    return new Conversation(engine, { system, messages, sampling, history: new Int32Array(0), marks: [] });
  }

  clone(): Conversation {
    const { system, messages, sampling, history, marks } = this.state;
    return new Conversation(this.engine, { system, messages: [...messages], sampling, history, marks: [...marks] });
  }

  rewind(length: number): void {
    const { state } = this;
    state.messages = state.messages.slice(0, length);
    while ((state.marks.at(-1)?.messages ?? 0) > length) state.marks.pop();
    state.history = state.history.slice(0, state.marks.at(-1)?.tokens ?? 0);
  }

  /** `text` null: the last question again. Cancelled before a word was said, the conversation is as it was. */
  async ask(
    text: string | null,
    options: AnswerOptions,
    askedAt: number,
    signal: AbortSignal,
    event: (event: AnswerEvent) => void,
  ): Promise<Reply> {
    const before = { ...this.state, messages: [...this.state.messages], marks: [...this.state.marks] };
    try {
      const reply = await this.answer(this.takeQuestion(text), options, askedAt, signal, event);
      if (reply.finish === 'cancelled' && reply.text === '') Object.assign(this.state, before);
      return reply;
    } catch (error) {
      Object.assign(this.state, before);
      throw error;
    }
  }

  private takeQuestion(text: string | null): Message {
    if (text !== null) return { role: 'user', content: text };
    const last = this.state.messages.findLastIndex((message) => message.role === 'user');
    const question = this.state.messages[last];
    if (question === undefined) throw new LinnetError('bad-argument', 'There is no question yet that could be answered anew.');
    this.rewind(last);
    return question;
  }

  private async answer(
    question: Message,
    options: AnswerOptions,
    askedAt: number,
    signal: AbortSignal,
    event: (event: AnswerEvent) => void,
  ): Promise<Reply> {
    const { state, engine } = this;
    const { tokens, forgotten } = this.fit(question, options.maxTokens);
    const sampling = { ...state.sampling, ...options.sampling };
    const generated = await generate(engine, this, tokens, { ...options, sampling }, true, askedAt, signal, event);
    state.messages.push(question, { role: 'assistant', content: generated.text });
    if (generated.finish === 'stop') {
      // The stop text is no part of the answer, so its tokens cannot stay: the next question makes them from the messages.
      state.marks = [];
      state.history = new Int32Array(0);
    } else {
      state.history = Int32Array.from([...tokens, ...generated.tokens]);
      state.marks.push({ messages: state.messages.length, tokens: state.history.length, forgotten });
    }
    return {
      text: generated.text,
      finish: generated.finish,
      usage: {
        promptTokens: tokens.length,
        cachedTokens: generated.cached,
        completionTokens: generated.tokens.length,
        totalTokens: tokens.length + generated.tokens.length,
        forgottenMessages: forgotten,
      },
      timings: generated.timings,
    };
  }

  /** The tokens of the messages and the question, the oldest left out as far as needed. */
  private fit(question: Message, maxTokens: number): { tokens: Int32Array; forgotten: number } {
    const { state, engine } = this;
    const { context } = engine.info;
    // Room for an answer of some length; a quarter of a small context.
    let room = Math.min(256, Math.floor(context / 4));
    if (maxTokens !== 0) room = Math.min(room, maxTokens);
    const last = state.marks.at(-1);
    if (last !== undefined && last.messages === state.messages.length) {
      const more = engine.chatTokens([question], CHAT_CONTINUES | CHAT_ANSWER);
      if (last.tokens + more.length + room <= context) {
        const tokens = new Int32Array(last.tokens + more.length);
        tokens.set(state.history);
        tokens.set(more, last.tokens);
        return { tokens, forgotten: last.forgotten };
      }
    }
    const all: Message[] = [...state.messages, question];
    const first = state.system === '' ? 0 : 1;
    if (first === 1) all.unshift({ role: 'system', content: state.system });
    const forgotten = engine.chatFit(all, room);
    all.splice(first, forgotten);
    return { tokens: engine.chatTokens(all, CHAT_ANSWER), forgotten };
  }
}
