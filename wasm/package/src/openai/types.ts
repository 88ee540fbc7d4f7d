// The shapes of OpenAI's chat completions, as far as they are answered here.
import type { Role } from '../types.js';

export interface ChatCompletionMessage {
  role: Role;
  content: string | { type: 'text'; text: string }[];
  /** As an earlier answer had it: null. */
  refusal?: null;
  /** As an earlier answer had it: none. */
  annotations?: readonly never[];
}

/** The fields that are understood. Any other is refused, so that nothing is silently left out. */
export interface ChatCompletionRequest {
  /** Any text: it comes back in the answer. The model is the one that was loaded. */
  model?: string;
  messages: ChatCompletionMessage[];
  stream?: boolean | null;
  stream_options?: { include_usage?: boolean } | null;
  /** 0 to 2. */
  temperature?: number | null;
  top_p?: number | null;
  max_tokens?: number | null;
  max_completion_tokens?: number | null;
  stop?: string | string[] | null;
  seed?: number | null;
  /** 1. */
  n?: 1 | null;
  /** A name for the person who asks; not used. */
  user?: string;
}

export interface CompletionUsage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  prompt_tokens_details: { cached_tokens: number };
}

export type FinishReason = 'stop' | 'length';

export interface ChatCompletion {
  id: string;
  object: 'chat.completion';
  created: number;
  model: string;
  choices: {
    index: number;
    message: { role: 'assistant'; content: string; refusal: null };
    logprobs: null;
    finish_reason: FinishReason;
  }[];
  usage: CompletionUsage;
}

export interface ChatCompletionChunk {
  id: string;
  object: 'chat.completion.chunk';
  created: number;
  model: string;
  choices: {
    index: number;
    delta: { role?: 'assistant'; content?: string };
    logprobs: null;
    finish_reason: FinishReason | null;
  }[];
  usage?: CompletionUsage | null;
}

export interface RequestOptions {
  signal?: AbortSignal;
}

export interface OpenAIClient {
  chat: {
    completions: {
      create(
        request: ChatCompletionRequest & { stream: true },
        options?: RequestOptions,
      ): Promise<AsyncIterable<ChatCompletionChunk>>;
      create(request: ChatCompletionRequest & { stream?: false | null }, options?: RequestOptions): Promise<ChatCompletion>;
      create(
        request: ChatCompletionRequest,
        options?: RequestOptions,
      ): Promise<ChatCompletion | AsyncIterable<ChatCompletionChunk>>;
    };
  };
}
