// Conversations out of the page and back: JSON, which can be read in again, and Markdown for people.
import { newId, type ChatMessage, type Conversation } from '../state/types.js';

const format = 'linnet-conversations';
const version = 1;

export const toJson = (conversations: Conversation[]): string =>
  JSON.stringify({ format, version, exportedAt: new Date().toISOString(), conversations }, null, 2);

export function toMarkdown(conversation: Conversation): string {
  const turns = conversation.messages.map((message) => {
    const who = message.role === 'user' ? 'You' : (message.model ?? 'Linnet');
    return `## ${who}\n\n${message.content.trim()}\n`;
  });
  return `# ${conversation.title}\n\n${new Date(conversation.createdAt).toLocaleString()}\n\n${turns.join('\n')}`;
}

export function download(name: string, type: string, text: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name.replace(/[^\p{L}\p{N} ._-]+/gu, ' ').trim() || 'conversation';
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

const maximumBytes = 64e6;

/** The conversations of an exported file, every field checked: the file may come from anywhere. Throws a sentence. */
export async function fromFile(file: File): Promise<Conversation[]> {
  if (file.size > maximumBytes) throw new Error(`${file.name} is too large to be a file of conversations.`);
  let read: unknown;
  try {
    read = JSON.parse(await file.text());
  } catch {
    throw new Error(`${file.name} is not a JSON file. Conversations come back from the file that “Export all” writes.`);
  }
  const list = (read as { format?: unknown; conversations?: unknown } | null)?.conversations;
  if ((read as { format?: unknown } | null)?.format !== format || !Array.isArray(list)) {
    throw new Error(`${file.name} holds no conversations of this page.`);
  }
  const conversations = list.map(conversationOf).filter((each): each is Conversation => each !== undefined);
  if (conversations.length === 0) throw new Error(`${file.name} holds no conversation that could be read.`);
  return conversations;
}

const timeOf = (value: unknown): number => (typeof value === 'number' && Number.isFinite(value) ? value : Date.now());

function conversationOf(value: unknown): Conversation | undefined {
  const { title, createdAt, updatedAt, messages } = (value ?? {}) as Record<string, unknown>;
  if (!Array.isArray(messages)) return undefined;
  return {
    id: newId(),
    title: typeof title === 'string' && title.trim() ? title.slice(0, 200) : 'Imported',
    createdAt: timeOf(createdAt),
    updatedAt: timeOf(updatedAt),
    revision: 0,
    messages: messages.map(messageOf).filter((each): each is ChatMessage => each !== undefined),
  };
}

function messageOf(value: unknown): ChatMessage | undefined {
  const { role, content, at, model } = (value ?? {}) as Record<string, unknown>;
  if ((role !== 'user' && role !== 'assistant') || typeof content !== 'string') return undefined;
  return { id: newId(), role, content, at: timeOf(at), ...(typeof model === 'string' ? { model } : {}) };
}
