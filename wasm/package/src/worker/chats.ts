// Saved conversations, in the browser's storage under /linnet/chats: messages, their tokens, and keys and values where the
// conversation had them at that moment.
//
//     u32 MAGIC, u32 bytes of the description, the description (JSON), the tokens (i32 each), keys and values
//
// A file is written whole under another name and then takes its own: a save that is interrupted leaves the old one.
import { LinnetError } from '../errors.js';
import type { Message, Sampling, SavedSession } from '../types.js';
import { fileSource } from '../store/reader.js';
import type { ByteSource } from './byte_source.js';
import type { ConversationState, Mark } from './conversation.js';
import type { SnapshotSink } from './module.js';

const MAGIC = 0x314e4c43;
const HEADER_BYTES = 8;
const SUFFIX = '.chat';
const MOST_DESCRIPTION_BYTES = 256 * 1024 * 1024;

interface Description {
  name: string;
  model: string;
  modelName: string;
  savedAt: number;
  system: string;
  messages: Message[];
  sampling: Sampling;
  marks: Mark[];
  tokens: number;
  snapshotBytes: number;
}

/** OPFS handles can be renamed in every browser that has them; the types do not know it. */
type MovableFile = FileSystemFileHandle & { move(name: string): Promise<void> };

/** Keys and values on their way to the disk: written in pieces, never whole in memory. */
export interface Snapshot {
  bytes: number;
  write(sink: SnapshotSink): void;
}

async function folder(): Promise<FileSystemDirectoryHandle> {
  try {
    const root = await navigator.storage.getDirectory();
    const linnet = await root.getDirectoryHandle('linnet', { create: true });
    return await linnet.getDirectoryHandle('chats', { create: true });
  } catch (cause) {
    throw new LinnetError(
      'storage',
      'Conversations cannot be kept: this browser gives the page no storage (private window, blocked site data, no https).',
      { cause },
    );
  }
}

const fileName = (name: string): string => encodeURIComponent(name).replaceAll('.', '%2E').replaceAll('*', '%2A') + SUFFIX;

const damaged = (name: string): LinnetError =>
  new LinnetError('bad-file', `The saved conversation '${name}' is damaged: delete it with model.forget().`);

async function describe(file: Blob, name: string): Promise<{ description: Description; bodyAt: number }> {
  const header = new DataView(await file.slice(0, HEADER_BYTES).arrayBuffer());
  const bytes = header.byteLength === HEADER_BYTES ? header.getUint32(4, true) : 0;
  if (bytes === 0 || header.getUint32(0, true) !== MAGIC || bytes > MOST_DESCRIPTION_BYTES) throw damaged(name);
  const bodyAt = HEADER_BYTES + bytes;
  try {
    const description = JSON.parse(await file.slice(HEADER_BYTES, bodyAt).text()) as Description;
    if (file.size !== bodyAt + 4 * description.tokens + description.snapshotBytes) throw damaged(name);
    return { description, bodyAt };
  } catch {
    throw damaged(name);
  }
}

const summary = (description: Description, bytes: number): SavedSession => ({
  name: description.name,
  messages: description.messages.length,
  tokens: description.tokens,
  bytes,
  savedAt: new Date(description.savedAt),
});

export const chats = {
  async write(
    name: string,
    model: { id: string; name: string },
    state: ConversationState,
    snapshot: Snapshot,
  ): Promise<SavedSession> {
    const { system, messages, sampling, history, marks } = state;
    const description: Description = {
      name,
      model: model.id,
      modelName: model.name,
      savedAt: Date.now(),
      system,
      messages,
      sampling,
      marks,
      tokens: history.length,
      snapshotBytes: snapshot.bytes,
    };
    const text = new TextEncoder().encode(JSON.stringify(description));
    const header = new DataView(new ArrayBuffer(HEADER_BYTES));
    header.setUint32(0, MAGIC, true);
    header.setUint32(4, text.length, true);
    const parts = [new Uint8Array(header.buffer), text, new Uint8Array(history.slice().buffer)];
    const bytes = parts.reduce((sum, part) => sum + part.length, snapshot.bytes);
    const place = await folder();
    const temporary = `${fileName(name)}.new`;
    let full = false;
    try {
      const handle = (await place.getFileHandle(temporary, { create: true })) as MovableFile;
      const access = await handle.createSyncAccessHandle();
      try {
        access.truncate(0);
        let at = 0;
        const write = (part: Uint8Array): boolean => {
          try {
            full ||= access.write(part as Uint8Array<ArrayBuffer>, { at }) !== part.length;
          } catch {
            full = true;
          }
          at += part.length;
          return !full;
        };
        parts.forEach(write);
        if (!full) snapshot.write({ write });
        if (full || at !== bytes) throw new DOMException('', 'QuotaExceededError');
        access.flush();
      } finally {
        access.close();
      }
      await handle.move(fileName(name));
    } catch (cause) {
      await place.removeEntry(temporary).catch(() => {});
      const noRoom = full || (cause instanceof DOMException && cause.name === 'QuotaExceededError');
      throw noRoom
        ? new LinnetError(
            'storage-full',
            `There is no room for ${Math.ceil(bytes / 1e6)} MB: delete stored models or conversations.`,
            { cause },
          )
        : new LinnetError('storage', 'The conversation could not be written to the browser’s storage.', { cause });
    }
    return summary(description, bytes);
  },

  /** The conversation, and the file's part with its keys and values; empty where there are none. */
  async read(name: string, model: { id: string; name: string }): Promise<{ state: ConversationState; snapshot: ByteSource }> {
    const place = await folder();
    let file: File;
    try {
      file = await (await place.getFileHandle(fileName(name))).getFile();
    } catch (cause) {
      throw new LinnetError('not-found', `There is no saved conversation '${name}'.`, { cause });
    }
    const { description, bodyAt } = await describe(file, name);
    if (description.model !== model.id) {
      throw new LinnetError(
        'bad-argument',
        `The conversation '${name}' was held with another model (${description.modelName}): load that one, or begin a new ` +
          'conversation with its messages.',
      );
    }
    const snapshotAt = bodyAt + 4 * description.tokens;
    const { system, messages, sampling, marks } = description;
    const history = new Int32Array(await file.slice(bodyAt, snapshotAt).arrayBuffer());
    return { state: { system, messages, sampling, history, marks }, snapshot: fileSource(file.slice(snapshotAt)) };
  },

  async list(): Promise<SavedSession[]> {
    const found: SavedSession[] = [];
    for await (const [name, handle] of (await folder()).entries()) {
      if (handle.kind !== 'file' || !name.endsWith(SUFFIX)) continue;
      const file = await (handle as FileSystemFileHandle).getFile();
      // One that is damaged is not in the list; restoring it by name says so.
      const described = await describe(file, name).catch(() => undefined);
      if (described !== undefined) found.push(summary(described.description, file.size));
    }
    return found.sort((a, b) => b.savedAt.getTime() - a.savedAt.getTime());
  },

  async forget(name: string): Promise<null> {
    const place = await folder();
    try {
      await place.removeEntry(fileName(name));
    } catch (cause) {
      throw new LinnetError('not-found', `There is no saved conversation '${name}'.`, { cause });
    }
    return null;
  },
};
