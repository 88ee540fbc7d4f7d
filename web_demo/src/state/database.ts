// Conversations in this browser's IndexedDB.
import { openDB, type DBSchema, type IDBPDatabase } from 'idb';
import { newId, type Conversation } from './types.js';

interface Schema extends DBSchema {
  conversations: { key: string; value: Conversation };
}

let opened: Promise<IDBPDatabase<Schema>> | undefined;
const database = (): Promise<IDBPDatabase<Schema>> => {
  opened ??= openDB<Schema>('linnet-page', 1, {
    upgrade: (db) => void db.createObjectStore('conversations', { keyPath: 'id' }),
    blocking: (_current, _blocked, event) => (event.target as IDBDatabase).close(),
    terminated: () => (opened = undefined),
  }).catch((error: unknown) => {
    opened = undefined;
    throw error;
  });
  return opened;
};

export const readAll = async (): Promise<Conversation[]> => (await database()).getAll('conversations');

export const readOne = async (id: string): Promise<Conversation | undefined> => (await database()).get('conversations', id);

/** Writes a conversation that was read or written at `conversation.revision`. Where another tab has written it since, both
 *  are kept: ours becomes a conversation of its own. Returns what was written. */
export async function write(conversation: Conversation): Promise<Conversation> {
  const transaction = (await database()).transaction('conversations', 'readwrite');
  const there = await transaction.store.get(conversation.id);
  const written: Conversation =
    there && there.revision !== conversation.revision
      ? { ...conversation, id: newId(), title: `${conversation.title} (from the other tab)`, revision: 1 }
      : { ...conversation, revision: conversation.revision + 1 };
  await transaction.store.put(written);
  await transaction.done;
  return written;
}

export async function remove(id: string): Promise<void> {
  await (await database()).delete('conversations', id);
}
