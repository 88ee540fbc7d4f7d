// The conversations, the one that is open, and what keeps them: every change goes to the database, and other tabs hear of it.
import { computed, signal } from '@preact/signals';
import * as database from './database.js';
import { notify } from './notices.js';
import { newId, type ChatMessage, type Conversation } from './types.js';

/** Newest first. */
export const conversations = signal<Conversation[]>([]);
/** The open one; '' is a new conversation that has nothing in it yet. */
export const currentId = signal('');
export const current = computed(() => conversations.value.find((each) => each.id === currentId.value));
export const conversationsRead = signal(false);
/** Those that this tab is answering in: what other tabs say of them is not taken over. */
export const answeringIn = signal('');

const otherTabs = typeof BroadcastChannel === 'undefined' ? undefined : new BroadcastChannel('linnet-page-conversations');
const newestFirst = (a: Conversation, b: Conversation): number => b.updatedAt - a.updatedAt;

function put(conversation: Conversation): void {
  conversations.value = [conversation, ...conversations.value.filter((each) => each.id !== conversation.id)].sort(newestFirst);
}

let storageFailed = false;
function storageProblem(error: unknown): void {
  console.error(error);
  if (storageFailed) return;
  storageFailed = true;
  const full = error instanceof DOMException && error.name === 'QuotaExceededError';
  notify({
    tone: 'problem',
    text: full
      ? 'There is no room left to keep this conversation. Delete a model or a conversation, or export this one.'
      : 'This browser does not let the page keep conversations (a private window, perhaps). Export what you want to keep.',
  });
}

// Writes of one tab are made one after the other, so that each starts from the revision that the last one left.
let writing: Promise<unknown> = Promise.resolve();

export function save(id: string): Promise<void> {
  const saved = writing.then(async () => {
    const conversation = conversations.value.find((each) => each.id === id);
    if (!conversation) return;
    try {
      const written = await database.write(conversation);
      const latest = conversations.value.find((each) => each.id === id);
      if (!latest) return void (await database.remove(written.id)); // deleted while it was written
      if (written.id === id) {
        put({ ...latest, revision: written.revision });
      } else {
        // The other tab's version keeps the place; ours goes on under a new name.
        const theirs = await database.readOne(id);
        conversations.value = conversations.value.filter((each) => each.id !== id);
        put({ ...latest, id: written.id, title: written.title, revision: written.revision });
        if (theirs) put(theirs);
        if (answeringIn.value === id) answeringIn.value = written.id;
        if (currentId.value === id) open(written.id);
        moved.set(id, written.id);
        notify({ text: 'This conversation went on in another tab too. Both are kept.' });
      }
      otherTabs?.postMessage(written.id);
    } catch (error) {
      storageProblem(error);
    }
  });
  writing = saved;
  return saved;
}

/** Where a conversation went that had to make way for another tab's. */
const moved = new Map<string, string>();
export const movedTo = (id: string): string => moved.get(id) ?? id;

/** Changes a conversation here; `save` keeps it. */
export function change(id: string, update: (conversation: Conversation) => Conversation): void {
  const found = conversations.value.find((each) => each.id === movedTo(id));
  if (found) put(update(found));
}

export const setMessages = (id: string, messages: ChatMessage[]): void =>
  change(id, (conversation) => ({ ...conversation, messages, updatedAt: Date.now() }));

export function titleOf(text: string): string {
  const line = text.trim().replace(/\s+/g, ' ');
  return line.length <= 60 ? line : `${line.slice(0, 60).replace(/\s\S*$/, '')}…`;
}

export function create(title: string): Conversation {
  const now = Date.now();
  const conversation: Conversation = { id: newId(), title, createdAt: now, updatedAt: now, revision: 0, messages: [] };
  put(conversation);
  return conversation;
}

export function open(id: string): void {
  currentId.value = id;
  const hash = id ? `#${id}` : '';
  if (location.hash !== hash) history.pushState(null, '', hash || location.pathname + location.search);
}

export async function rename(id: string, title: string): Promise<void> {
  if (!title.trim()) return;
  change(id, (conversation) => ({ ...conversation, title: title.trim() }));
  await save(id);
}

/** Deletes, and offers to take it back. */
export async function remove(id: string): Promise<void> {
  const conversation = conversations.value.find((each) => each.id === id);
  if (!conversation) return;
  conversations.value = conversations.value.filter((each) => each.id !== id);
  if (currentId.value === id) open('');
  try {
    await writing;
    await database.remove(id);
    otherTabs?.postMessage(id);
  } catch (error) {
    storageProblem(error);
  }
  notify({
    text: `“${conversation.title}” is deleted.`,
    action: 'Undo',
    run: async () => {
      put({ ...conversation, revision: 0 });
      open(id);
      await save(id);
    },
  });
}

/** Adds what was imported; each under a new name, so that nothing is written over. */
export async function add(imported: Conversation[]): Promise<void> {
  for (const conversation of imported) {
    const added = { ...conversation, id: newId(), revision: 0 };
    put(added);
    await save(added.id);
  }
}

async function readFromOtherTab(id: string): Promise<void> {
  if (answeringIn.value === id) return;
  const theirs = await database.readOne(id);
  const ours = conversations.value.find((each) => each.id === id);
  if (theirs) {
    if (!ours || theirs.revision > ours.revision) put(theirs);
  } else if (ours) {
    conversations.value = conversations.value.filter((each) => each.id !== id);
    if (currentId.value === id) open('');
  }
}

const openFromAddress = (): void => {
  const id = location.hash.slice(1);
  currentId.value = conversations.value.some((each) => each.id === id) ? id : '';
};

export async function startConversations(): Promise<void> {
  try {
    conversations.value = (await database.readAll()).sort(newestFirst);
  } catch (error) {
    storageProblem(error);
  }
  openFromAddress();
  conversationsRead.value = true;
  addEventListener('popstate', openFromAddress);
  otherTabs?.addEventListener('message', (event: MessageEvent<string>) => {
    writing = writing.then(() => readFromOtherTab(event.data)).catch(storageProblem);
  });
}
