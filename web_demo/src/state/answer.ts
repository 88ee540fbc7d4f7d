// Asking and answering: one answer at a time, streamed into the conversation that it belongs to, and kept as it grows.
import { computed, signal } from '@preact/signals';
import type { Message, Model, Reply, Session } from 'linnet';
import {
  answeringIn,
  change,
  conversations,
  create,
  current,
  currentId,
  movedTo,
  open,
  save,
  setMessages,
  titleOf,
} from './conversations.js';
import { beforeUnload, choice, choiceIsStored, modelState, readMemory, ready } from './model.js';
import { announce, notify } from './notices.js';
import { isAbort, problemOf, type Problem } from './problems.js';
import { settings } from './settings.js';
import { newId, type ChatMessage } from './types.js';

export interface Running {
  messageId: string;
  phase: 'load' | 'read' | 'write';
  /** Tokens of the prompt that are read. */
  read: number;
  toRead: number;
}

export const running = signal<Running | undefined>(undefined);
/** The text so far: it changes often, and only what shows it looks here. */
export const runningText = signal('');
export const liveSpeed = signal(0);
/** Of the last answer, by conversation. */
export const answerProblem = signal<(Problem & { conversationId: string }) | undefined>(undefined);
export const answeringHere = computed(() => running.value !== undefined && answeringIn.value === currentId.value);

// Conversations that the model's worker holds. A few: each costs the worker its keys and values when it is gone back to.
const heldSessions = 4;
const sessions = new Map<string, Session>();
beforeUnload.add(() => {
  stop();
  sessions.clear();
});

function drop(conversationId: string): void {
  const held = sessions.get(conversationId);
  sessions.delete(conversationId);
  void held?.close().catch(() => undefined);
}

const same = (a: Message, b: Message): boolean => a.role === b.role && a.content.trim() === b.content.trim();

/** A session that has exactly this past: the held one, cut back where it has more, or a new one. */
async function sessionWith(model: Model, conversationId: string, past: Message[]): Promise<Session> {
  const system = settings.value.system.trim() ? settings.value.system : '';
  const held = sessions.get(conversationId);
  if (held && held.system === system) {
    const said = held.messages;
    if (said.length >= past.length && past.every((message, i) => same(message, said[i]!))) {
      if (said.length > past.length) await held.rewind(past.length);
      sessions.delete(conversationId);
      sessions.set(conversationId, held); // the newest is the last to go
      return held;
    }
  }
  drop(conversationId);
  const session = await model.session({ system, messages: past });
  sessions.set(conversationId, session);
  for (const [id] of sessions) if (sessions.size > heldSessions) drop(id);
  return session;
}

const sampling = () => {
  const { temperature, topK, topP, minP, repetitionPenalty, seed } = settings.value;
  return { temperature, topK, topP, minP, repetitionPenalty, ...(seed === null ? {} : { seed }) };
};

let controller: AbortController | undefined;
export const stop = (): void => controller?.abort();

/** Sends a text in the open conversation. False when there is no model to answer with. */
export function ask(text: string): boolean {
  if (!canAsk.value || !text.trim()) return false;
  const conversation = current.value ?? create(titleOf(text));
  const question: ChatMessage = { id: newId(), role: 'user', content: text.trim(), at: Date.now() };
  setMessages(conversation.id, [...conversation.messages, question]);
  open(conversation.id);
  void answerLast(conversation.id);
  return true;
}

/** There is a model, or one that opens without a download, and nothing is being answered. */
export const canAsk = computed(
  () =>
    running.value === undefined &&
    (modelState.value.kind === 'ready' ||
      modelState.value.kind === 'loading' ||
      (choice.value !== undefined && choiceIsStored.value)),
);

/** A question in other words: what came after it is dropped, and can be had back. */
export function edit(conversationId: string, messageId: string, text: string): void {
  const before = conversations.value.find((each) => each.id === conversationId)?.messages ?? [];
  const index = before.findIndex((message) => message.id === messageId);
  if (index < 0 || !canAsk.value || !text.trim()) return;
  setMessages(conversationId, [
    ...before.slice(0, index),
    { ...before[index]!, id: newId(), content: text.trim(), at: Date.now() },
  ]);
  if (before.length > index + 2) offerBack(conversationId, before, 'What followed this question is gone.');
  void answerLast(conversationId);
}

/** Another answer to the question before this answer. */
export function regenerate(conversationId: string, messageId: string): void {
  const before = conversations.value.find((each) => each.id === conversationId)?.messages ?? [];
  const index = before.findIndex((message) => message.id === messageId);
  if (index < 1 || !canAsk.value) return;
  setMessages(conversationId, before.slice(0, index));
  offerBack(conversationId, before, 'The answer is being given anew.');
  void answerLast(conversationId);
}

function offerBack(conversationId: string, messages: ChatMessage[], text: string): void {
  notify({
    id: `back-${conversationId}`,
    text,
    action: 'Undo',
    run: async () => {
      stop();
      await finished;
      setMessages(movedTo(conversationId), messages);
      await save(movedTo(conversationId));
    },
  });
}

export function answerAgain(conversationId: string): void {
  if (running.value === undefined) void answerLast(conversationId);
}

let finished: Promise<void> = Promise.resolve();
function answerLast(conversationId: string): Promise<void> {
  return (finished = answer(conversationId));
}

/** Answers the conversation's last message, which is a question. */
async function answer(startedIn: string): Promise<void> {
  const messages = conversations.value.find((each) => each.id === startedIn)?.messages ?? [];
  const question = messages[messages.length - 1];
  if (question?.role !== 'user' || running.value) return;
  const id = newId();
  const { signal } = (controller = new AbortController());
  answeringIn.value = startedIn;
  answerProblem.value = undefined;
  runningText.value = '';
  liveSpeed.value = 0;
  running.value = { messageId: id, phase: 'load', read: 0, toRead: 0 };
  void save(startedIn);
  const keep = (text: string, reply?: Reply): void =>
    change(answeringIn.value, (conversation) => ({
      ...conversation,
      updatedAt: Date.now(),
      messages: [
        ...conversation.messages.filter((message) => message.id !== id),
        {
          id,
          role: 'assistant',
          content: text,
          at: Date.now(),
          ...(modelState.value.kind === 'ready' ? { model: modelState.value.choice.name } : {}),
          ...(reply ? { finish: reply.finish, usage: reply.usage, timings: reply.timings } : { finish: 'cancelled' }),
        },
      ],
    }));
  const pace = startPace(() => {
    keep(runningText.value);
    void save(answeringIn.value);
  });
  let text = '';
  try {
    const model = await untilReady(signal);
    if (!model) return;
    announce('Answering.');
    const past = messages.slice(0, -1).map(({ role, content }) => ({ role, content }));
    const session = await sessionWith(model, startedIn, past);
    running.value = { messageId: id, phase: 'read', read: 0, toRead: 0 };
    const stream = session.stream(question.content, {
      signal,
      maxTokens: settings.value.maxTokens,
      sampling: sampling(),
      onPrefill: (read, toRead) => {
        if (running.value?.phase === 'read') running.value = { messageId: id, phase: 'read', read, toRead };
      },
    });
    for await (const piece of stream) {
      if (running.value?.phase !== 'write') running.value = { messageId: id, phase: 'write', read: 0, toRead: 0 };
      text += piece;
      pace.piece(text);
    }
    const reply = await stream.reply;
    text = reply.text;
    keep(text, reply);
    announce(text ? `Answer: ${text.slice(0, 2000)}` : 'The model gave no answer.');
  } catch (error) {
    if (text) keep(text);
    if (isAbort(error)) {
      announce('Stopped.');
    } else {
      drop(startedIn);
      answerProblem.value = { ...problemOf(error), conversationId: answeringIn.value };
      announce(answerProblem.value.text);
    }
  } finally {
    pace.end();
    running.value = undefined;
    const conversationId = answeringIn.value;
    answeringIn.value = '';
    controller = undefined;
    await save(conversationId);
    void readMemory();
  }
}

/** The model, when it is open; waits for a load that is under way. */
async function untilReady(signal: AbortSignal): Promise<Model | undefined> {
  if (modelState.value.kind !== 'loading') return ready();
  return new Promise((done) => {
    const look = (): void => {
      const state = modelState.value;
      if (state.kind === 'loading' && !signal.aborted) return;
      stopLooking();
      signal.removeEventListener('abort', look);
      done(state.kind === 'ready' && !signal.aborted ? state.model : undefined);
    };
    let stopLooking = (): void => undefined;
    stopLooking = modelState.subscribe(() => queueMicrotask(look));
    signal.addEventListener('abort', look);
  });
}

/** Shows text once a frame at most, counts the speed, and keeps what there is every two seconds. */
function startPace(keepNow: () => void) {
  let text = '';
  let frame = 0;
  const times: number[] = [];
  const show = (): void => {
    frame = 0;
    runningText.value = text;
  };
  const each = setInterval(() => {
    void readMemory();
    if (text) keepNow();
  }, 2000);
  return {
    piece(soFar: string): void {
      text = soFar;
      // A piece is a token, but for characters that take several. A page in the background gets no frames: a timer instead.
      times.push(performance.now());
      if (times.length > 32) times.shift();
      const span = times[times.length - 1]! - times[0]!;
      if (times.length > 3 && span > 0) liveSpeed.value = (1000 * (times.length - 1)) / span;
      if (frame === 0) frame = document.hidden ? window.setTimeout(show, 250) : requestAnimationFrame(show);
    },
    end(): void {
      clearInterval(each);
      cancelAnimationFrame(frame);
      clearTimeout(frame);
      if (text) runningText.value = text;
    },
  };
}
