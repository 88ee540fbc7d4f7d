// A thin adapter: code that was written for OpenAI's chat completions asks a Linnet model. Nothing leaves the device.
import { LinnetError, abortReason } from '../errors.js';
import { checkMessages, checkNames, checkSampling, given } from '../options.js';
import type { Finish, Message, Model, PromptOptions, Reply, Sampling, Session } from '../types.js';
import type {
  ChatCompletion,
  ChatCompletionChunk,
  ChatCompletionMessage,
  ChatCompletionRequest,
  CompletionUsage,
  FinishReason,
  OpenAIClient,
  RequestOptions,
} from './types.js';

const FIELDS = [
  'model',
  'messages',
  'stream',
  'stream_options',
  'temperature',
  'top_p',
  'max_tokens',
  'max_completion_tokens',
  'stop',
  'seed',
  'n',
  'user',
] as const;

const WHERE = 'chat.completions.create';

function finishReason(finish: Finish): FinishReason {
  return finish === 'end' || finish === 'stop' || finish === 'cancelled' ? 'stop' : 'length';
}

function usageOf({ usage }: Reply): CompletionUsage {
  return {
    prompt_tokens: usage.promptTokens,
    completion_tokens: usage.completionTokens,
    total_tokens: usage.totalTokens,
    prompt_tokens_details: { cached_tokens: usage.cachedTokens },
  };
}

interface Checked {
  past: Message[];
  question: string;
  prompt: PromptOptions;
  includeUsage: boolean;
}

/** A message as clients send it: what this one gave out before can come back as it is, and a text may stand in parts. */
function plainMessage(message: unknown, i: number): unknown {
  const where = `messages[${i}]`;
  checkNames(message ?? null, ['role', 'content', 'refusal', 'annotations'], where);
  const { role, content, refusal, annotations } = message as ChatCompletionMessage;
  if (given(refusal) || (given(annotations) && annotations.length > 0)) {
    throw new LinnetError('bad-argument', `${WHERE}: ${where} has a refusal or annotations, which this model does not read.`);
  }
  const parts: unknown = content;
  if (!Array.isArray(parts)) return { role, content };
  const texts = parts.map((part: { type?: unknown; text?: unknown } | null) => {
    if (part?.type !== 'text' || typeof part.text !== 'string') {
      throw new LinnetError('bad-argument', `${WHERE}: ${where}.content: this model reads text, and nothing else.`);
    }
    return part.text;
  });
  return { role, content: texts.join('') };
}

function check(request: ChatCompletionRequest, options: RequestOptions): Checked {
  checkNames(request ?? null, FIELDS, WHERE);
  checkNames(options, ['signal'], WHERE);
  checkNames(request.stream_options ?? undefined, ['include_usage'], `${WHERE}: stream_options`);
  const messages = Array.isArray(request.messages) ? request.messages.map(plainMessage) : request.messages;
  const past = checkMessages(messages, 'messages');
  const question = past.pop();
  if (question?.role !== 'user') {
    throw new LinnetError('bad-argument', `${WHERE}: the last of 'messages' must be the user's.`);
  }
  if (given(request.n) && request.n !== 1) throw new LinnetError('bad-argument', `${WHERE}: 'n' can only be 1.`);
  if (given(request.temperature) && request.temperature > 2) {
    throw new LinnetError('bad-argument', `${WHERE}: 'temperature' must be a number from 0 to 2.`);
  }
  const sampling: Sampling = {};
  if (given(request.temperature)) sampling.temperature = request.temperature;
  if (given(request.top_p)) sampling.topP = request.top_p;
  if (given(request.seed)) sampling.seed = request.seed;
  checkSampling(sampling, WHERE);
  const prompt: PromptOptions = { sampling };
  const most = request.max_completion_tokens ?? request.max_tokens;
  if (given(most)) prompt.maxTokens = most;
  if (given(request.stop)) prompt.stop = request.stop;
  if (options.signal !== undefined) prompt.signal = options.signal;
  return { past, question: question.content, prompt, includeUsage: request.stream_options?.include_usage === true };
}

function same(a: readonly Message[], b: readonly Message[]): boolean {
  return a.length === b.length && a.every((message, i) => message.role === b[i]?.role && message.content === b[i]?.content);
}

/** `createOpenAI(model).chat.completions.create({ messages, stream: true })`. Messages that go on from the last answer find the
 *  conversation computed. */
export function createOpenAI(model: Model): OpenAIClient {
  // The session of the last answer, while nobody uses it.
  let last: Session | undefined;

  async function sessionFor(past: Message[]): Promise<Session> {
    const candidate = last;
    last = undefined;
    if (candidate !== undefined) {
      const system: Message[] = candidate.system === '' ? [] : [{ role: 'system', content: candidate.system }];
      if (same([...system, ...candidate.messages], past)) return candidate;
      await candidate.close();
    }
    return model.session({ messages: past });
  }

  async function keep(session: Session): Promise<void> {
    const before = last;
    last = session;
    await before?.close();
  }

  async function* chunks(
    session: Session,
    checked: Checked,
    base: { id: string; created: number; model: string },
  ): AsyncGenerator<ChatCompletionChunk, void, undefined> {
    const chunk = (
      delta: { role?: 'assistant'; content?: string },
      finish: FinishReason | null = null,
    ): ChatCompletionChunk => ({
      ...base,
      object: 'chat.completion.chunk',
      choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
      ...(checked.includeUsage && { usage: null }),
    });
    const answer = session.stream(checked.question, checked.prompt);
    try {
      yield chunk({ role: 'assistant', content: '' });
      for await (const content of answer) yield chunk({ content });
      const reply = await answer.reply;
      // Cancelled by the signal: the loop ends as it does when a connection is cut.
      if (reply.finish === 'cancelled') return;
      yield chunk({}, finishReason(reply.finish));
      if (checked.includeUsage) yield { ...base, object: 'chat.completion.chunk', choices: [], usage: usageOf(reply) };
    } finally {
      answer.cancel();
      await answer.reply.catch(() => {});
      await keep(session);
    }
  }

  async function whole(
    session: Session,
    checked: Checked,
    base: { id: string; created: number; model: string },
  ): Promise<ChatCompletion> {
    try {
      const reply = await session.prompt(checked.question, checked.prompt);
      if (reply.finish === 'cancelled') throw abortReason(checked.prompt.signal);
      return {
        ...base,
        object: 'chat.completion',
        choices: [
          {
            index: 0,
            message: { role: 'assistant', content: reply.text, refusal: null },
            logprobs: null,
            finish_reason: finishReason(reply.finish),
          },
        ],
        usage: usageOf(reply),
      };
    } finally {
      await keep(session);
    }
  }

  async function create(
    request: ChatCompletionRequest,
    options: RequestOptions = {},
  ): Promise<ChatCompletion | AsyncIterable<ChatCompletionChunk>> {
    const checked = check(request, options);
    if (options.signal?.aborted === true) throw abortReason(options.signal);
    const session = await sessionFor(checked.past);
    const base = {
      id: `chatcmpl-${Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, '0')).join('')}`,
      created: Math.floor(Date.now() / 1000),
      model: request.model ?? model.info.name,
    };
    return request.stream === true ? chunks(session, checked, base) : whole(session, checked, base);
  }

  return { chat: { completions: { create: create as OpenAIClient['chat']['completions']['create'] } } };
}
