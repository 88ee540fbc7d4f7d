// What a model needs that is larger than its memory: a worker that reads ahead of it, and a file for keys and values.
import { LinnetError } from '../errors.js';
import { Reader, scratchProblem } from '../reader/reader.js';
import { FULL, UNREADABLE } from '../reader/words.js';
import { DiskFull } from '../store/data_file.js';
import { isNamed } from '../store/folders.js';
import { scratchHandle } from '../store/reader.js';
import { makeScratch, scratchRoom, sweepScratch, type ScratchFile } from '../store/scratch_file.js';
import { readAt, writeAt } from '../store/sync_access.js';
import type { ByteSource } from './byte_source.js';
import { good } from './engine.js';
import type { LinnetModule, ModuleModel, ModuleOptions, ModuleSource, ScratchAccess } from './module.js';

/** How a model is opened, and why its storage failed where it did. */
export interface Streaming {
  source: ModuleSource;
  options: { reader?: boolean; scratchBytes?: number; measure?: boolean };
  problem(): LinnetError | undefined;
  /** Before the model is deleted. */
  close(): Promise<void>;
}

const ownProblem = (source: ByteSource): LinnetError | undefined =>
  (source.problem ?? '') === '' ? undefined : new LinnetError('storage', source.problem as string);

/** What the plan is made with, before anything is started for it. */
export async function streamingOptions(
  module: LinnetModule,
  source: ByteSource,
  options: ModuleOptions,
): Promise<{ reader: boolean; scratchBytes: number }> {
  // Without a ceiling everything is held in memory.
  if ((options.memory ?? 0) === 0) return { reader: false, scratchBytes: 0 };
  const shared = typeof SharedArrayBuffer !== 'undefined' && module.wasmMemory.buffer instanceof SharedArrayBuffer;
  return { reader: shared && source.elsewhere !== undefined, scratchBytes: await scratchRoom() };
}

/** Starts what the plan asks for. `read`: the source as the module is to see it. */
export async function startStreaming(
  module: LinnetModule,
  model: ModuleModel,
  source: ByteSource,
  read: ByteSource,
  options: ModuleOptions,
): Promise<Streaming> {
  void sweepScratch(false);
  const nothing: Streaming = { source: read, options: {}, problem: () => ownProblem(source), close: async () => {} };
  const possible = await streamingOptions(module, source, options);
  if (!possible.reader && possible.scratchBytes === 0) return nothing;
  const plan = module.makePlan(read, { ...options, ...possible });
  good(plan);
  if (plan.pageBytes === 0) return nothing; // all of it fits

  const scratch = possible.scratchBytes > 0 ? await scratchFor(plan.spilledBytes) : null;
  const reader = possible.reader ? await startReader(module, model, source, scratch) : null;
  const access = scratch !== null && reader === null ? await openScratch(scratch) : null;
  return {
    source: access === null ? read : { ...sourceOf(read), scratch: access },
    options: { reader: reader !== null, scratchBytes: scratch === null ? 0 : possible.scratchBytes, measure: true },
    problem: () => reader?.problem ?? access?.problem ?? ownProblem(source),
    async close() {
      reader?.end();
      access?.close();
      await scratch?.remove();
    },
  };
}

const sourceOf = (source: ByteSource): ModuleSource => ({
  size: source.size,
  read: (offset, into) => source.read(offset, into),
});

function startReader(
  module: LinnetModule,
  model: ModuleModel,
  source: ByteSource,
  scratch: ScratchFile | null,
): Promise<Reader | null> {
  return Reader.start({
    memory: module.wasmMemory,
    address: model.readerAddress(),
    model: source.elsewhere as string[] | Blob,
    scratch: scratch?.path ?? null,
  });
}

/** Null where it cannot be had and can be done without. */
async function scratchFor(bytes: number): Promise<ScratchFile | null> {
  try {
    return await makeScratch(bytes);
  } catch (cause) {
    if (bytes === 0) return null;
    if (cause instanceof DiskFull) {
      throw new LinnetError(
        'storage-full',
        `Under this ceiling ${Math.ceil(bytes / 1e6)} MB of the conversation are put aside in this browser’s storage, and there ` +
          'is not so much room: delete stored models, or ask for a shorter context or a higher ceiling.',
        { cause },
      );
    }
    throw new LinnetError('storage', 'This browser’s storage cannot be written to: load with more memory.', { cause });
  }
}

/** Where there is no reader: the file is read and written by this worker, between two pieces of computing. */
async function openScratch(scratch: ScratchFile): Promise<ScratchAccess & { problem?: LinnetError; close(): void }> {
  const handle = await scratchHandle(scratch.path);
  const access: ScratchAccess & { problem?: LinnetError; close(): void } = {
    read: (offset, into) => attempt(() => readAt(handle, offset, into)),
    write: (offset, from) => attempt(() => writeAt(handle, offset, from)),
    close: () => handle.close(),
  };
  const attempt = (transfer: () => number): number => {
    try {
      return transfer();
    } catch (error) {
      access.problem = scratchProblem(isNamed(error, 'QuotaExceededError') ? FULL : UNREADABLE);
      return 0;
    }
  };
  return access;
}
