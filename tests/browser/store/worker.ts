// The store in a worker of its own, driven by messages from the tests' page. Checksums and the converter are stand-ins, so that
// these tests need no wasm: the layout is that of core/model/format.h.
import { LinnetError } from '../../../wasm/package/src/errors.js';
import type { AsyncSource, Converter, ObtainOptions } from '../../../wasm/package/src/store/interface.js';
import { createStore } from '../../../wasm/package/src/store/store.js';
import type { ByteSource, Checksums } from '../../../wasm/package/src/worker/byte_source.js';
import { crc32c } from './crc32c.js';

const magic = [0x89, 0x4c, 0x49, 0x4e, 0x4e, 0x45, 0x54, 0x0a];

const checksums: Checksums = {
  fileLayout(first) {
    if (first.length < 512 || magic.some((byte, index) => first[index] !== byte)) return { problem: 'It has no header.' };
    const view = new DataView(first.buffer, first.byteOffset, first.length);
    if (view.getUint32(508, true) !== crc32c(first.subarray(0, 508))) return { problem: 'Its header is damaged.' };
    const number = (offset: number) => Number(view.getBigUint64(offset, true));
    const nameOffset = number(24);
    const nameBytes = view.getUint32(96, true);
    return {
      layout: {
        name: new TextDecoder().decode(first.subarray(nameOffset, nameOffset + nameBytes)),
        fileBytes: number(16),
        weightsOffset: number(72),
        weightsBytes: number(80),
        checksumsOffset: number(88),
        chunkBytes: view.getUint32(104, true),
        chunks: Math.ceil(number(80) / view.getUint32(104, true)),
      },
    };
  },
  metadataProblem(header, metadata) {
    const expected = new DataView(header.buffer, header.byteOffset, header.length).getUint32(108, true);
    return crc32c(metadata) === expected ? '' : 'Its metadata is damaged.';
  },
  crc32c,
};

/** The tests' GGUF is the .linnet file, its halves exchanged, behind 64 KiB that begin with the magic (model.mjs). */
const converter: Converter = {
  async convert(source: AsyncSource, _name, output, { progress, signal }) {
    const head = 65536;
    const bytes = source.size - head;
    const half = Math.floor(bytes / 2);
    if (new TextDecoder().decode((await source.read(0, 4)).subarray(0, 4)) !== 'GGUF') throw new Error('no GGUF');
    const flag = (await source.read(32, 1))[0];
    if (flag === 1) throw new LinnetError('unsupported', 'The architecture of this file is not one of those that work.');
    for (let done = 0; done < bytes;) {
      const part = Math.min(100_000, bytes - done, done < half ? half - done : Infinity);
      const from = done < half ? head + (bytes - half) + done : head + done - half;
      output.write(await source.read(from, part));
      done += part;
      progress(done, bytes);
      signal.throwIfAborted();
    }
    return { notes: [] };
  },
};

const store = createStore();
const opened = new Map<number, ByteSource>();
const running = new Map<number, AbortController>();
const progress = new Map<number, unknown[]>();

interface Call {
  id: number;
  op: string;
  args: unknown[];
}

async function sha256(source: ByteSource): Promise<string> {
  const whole = new Uint8Array(source.size);
  for (let at = 0; at < whole.length;) {
    const bytes = source.read(at, whole.subarray(at, at + 1_000_000));
    if (bytes === 0) throw new Error(`read nothing at ${at}: ${source.problem ?? ''}`);
    at += bytes;
  }
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', whole));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

async function files(folder: FileSystemDirectoryHandle, at = ''): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  for await (const [name, handle] of folder.entries()) {
    if (handle.kind === 'directory') Object.assign(found, await files(handle as FileSystemDirectoryHandle, `${at}${name}/`));
    else found[at + name] = (await (handle as FileSystemFileHandle).getFile()).size;
  }
  return found;
}

const operations: Record<string, (call: Call, options: ObtainOptions) => Promise<unknown>> = {
  async obtain({ id, args }, options) {
    const source =
      args[0] instanceof Blob ? await store.obtainFile(args[0], options) : await store.obtain(args[0] as string, options);
    opened.set(id, source);
    return { opened: id, size: source.size };
  },
  async hash({ args }) {
    return sha256(opened.get(args[0] as number)!);
  },
  async readShared({ args }) {
    const into = new Uint8Array(new SharedArrayBuffer(64));
    return [opened.get(args[0] as number)!.read(args[1] as number, into), ...into.slice(0, 4)];
  },
  async close({ args }) {
    opened.get(args[0] as number)!.close();
    opened.delete(args[0] as number);
  },
  list: () => store.list(),
  size: () => store.size(),
  verify: ({ args }, options) => store.verify(args[0] as string, options),
  delete: ({ args }) => store.delete(args[0] as string),
  files: async () => files(await navigator.storage.getDirectory()),
  /** Another byte at this offset of the only model's data. */
  async damage({ args }) {
    const linnet = await (await navigator.storage.getDirectory()).getDirectoryHandle('linnet');
    const models = await linnet.getDirectoryHandle('models');
    for await (const folder of models.values()) {
      const data = await (folder as FileSystemDirectoryHandle).getFileHandle((args[1] as string) ?? 'data');
      const handle = await data.createSyncAccessHandle();
      const byte = new Uint8Array(1);
      handle.read(byte, { at: args[0] as number });
      byte[0]! ^= 0x55;
      handle.write(byte, { at: args[0] as number });
      handle.close();
    }
  },
  /** From now on as in a browser whose handles are all exclusive. */
  async exclusive() {
    const open = FileSystemFileHandle.prototype.createSyncAccessHandle;
    FileSystemFileHandle.prototype.createSyncAccessHandle = function () {
      return open.call(this);
    };
    Object.defineProperty(FileSystemSyncAccessHandle.prototype, 'mode', { get: () => undefined });
  },
  /** The first bytes of what is open, and why they could not be read. */
  async peek({ args }) {
    const source = opened.get(args[0] as number)!;
    const into = new Uint8Array(16);
    return { bytes: source.read(args[1] as number, into), problem: source.problem ?? '' };
  },
  /** Fetch and write, nothing else: what the store's rate is compared with. */
  async plain({ args }) {
    const root = await navigator.storage.getDirectory();
    const handle = await (await root.getFileHandle('plain', { create: true })).createSyncAccessHandle();
    const begun = performance.now();
    const response = await fetch(args[0] as string, { cache: 'no-store' });
    let at = 0;
    for (const reader = response.body!.getReader(); ;) {
      const { done, value } = await reader.read();
      if (done) break;
      at += handle.write(value, { at });
    }
    handle.flush();
    handle.close();
    const seconds = (performance.now() - begun) / 1000;
    await root.removeEntry('plain');
    return { bytes: at, seconds };
  },
};

onmessage = async ({ data: call }: MessageEvent<Call>) => {
  if (call.op === 'abort') return running.get(call.args[0] as number)?.abort();
  if (call.op === 'progress') return postMessage({ id: call.id, value: progress.get(call.args[0] as number) ?? [] });
  const control = new AbortController();
  running.set(call.id, control);
  const reports: unknown[] = [];
  progress.set(call.id, reports);
  const options: ObtainOptions = {
    connections: (call.args[1] as number) ?? 4,
    report: (phase, loaded, total, resumedFrom) => {
      reports.push({ phase, loaded, total, resumedFrom });
      postMessage({ id: call.id, progress: { phase, loaded, total, resumedFrom } });
    },
    signal: control.signal,
    checksums,
    converter: async () => converter,
  };
  try {
    postMessage({ id: call.id, value: await operations[call.op]!(call, options) });
  } catch (error) {
    const { name, message, stack } = error as Error;
    postMessage({
      id: call.id,
      error: { name, code: (error as LinnetError).code, message, stack: name === 'LinnetError' ? '' : stack },
    });
  }
};
