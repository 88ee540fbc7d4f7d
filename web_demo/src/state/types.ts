// What the page keeps of a conversation.
import type { Finish, Timings, Usage } from 'linnet';

export interface ChatMessage {
  id: string;
  role: 'user' | 'assistant';
  content: string;
  at: number;
  /** The model that answered. */
  model?: string;
  finish?: Finish;
  usage?: Usage;
  timings?: Timings;
}

export interface Conversation {
  id: string;
  title: string;
  createdAt: number;
  updatedAt: number;
  /** Counts the writes, so that two tabs notice when both have written. */
  revision: number;
  messages: ChatMessage[];
}

export const newId = (): string => `${Date.now().toString(36)}-${crypto.getRandomValues(new Uint32Array(2)).join('-')}`;
