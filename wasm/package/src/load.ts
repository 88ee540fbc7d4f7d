// Linnet.load and Linnet.models: a worker is started, the right build in it, and the call made.
import { assetsOf, folderOf, startWorker } from './assets.js';
import { type BuildChoice, chooseBuild } from './builds.js';
import { Connection, StartError } from './connection.js';
import { LinnetError, abortReason } from './errors.js';
import { ModelHandle } from './model.js';
import { checkLoad, checkNames, checkPlan } from './options.js';
import { ProgressMeter } from './progress.js';
import type { CallName, Calls, LoadRequest, ProgressEvent } from './protocol.js';
import type { LoadOptions, ModelSource, Models, Plan, PlanOptions, Progress } from './types.js';

/** A worker in the middle of one long read does not hear a cancellation; after this it is ended. */
const CANCEL_MILLISECONDS = 60;
/** A worker for stored models is kept so long after its last call. */
const IDLE_MILLISECONDS = 3000;

function connect(choice: BuildChoice, folder: URL | undefined): Connection {
  return new Connection(() => startWorker(folder), { ...choice, assets: assetsOf(choice.build, folder) });
}

function addressOf(source: string | URL, where: string): string {
  let address: URL;
  try {
    address = new URL(source, globalThis.document?.baseURI ?? globalThis.location?.href);
  } catch {
    throw new LinnetError('bad-argument', `${where}: '${String(source)}' is no address.`);
  }
  // A model that was converted from a file of the person's is listed under an address that only the store understands.
  const listed = address.protocol === 'file:' && address.searchParams.has('first');
  if (!listed && !['http:', 'https:'].includes(address.protocol)) {
    throw new LinnetError(
      'bad-argument',
      `${where}: an address begins with http: or https:, and this one with ${address.protocol} A file of the person's is ` +
        'given as the File itself, from an <input type="file">.',
    );
  }
  address.hash = '';
  return address.href;
}

function sourceOf(source: ModelSource, where: string): string | Blob {
  if (source instanceof Blob) return source;
  if (typeof source === 'string' || source instanceof URL) return addressOf(source, where);
  throw new LinnetError('bad-argument', `${where} takes the address of a model, or a File or Blob with one.`);
}

function meter(onProgress: ((progress: Progress) => void) | undefined): ((event: ProgressEvent) => void) | undefined {
  if (onProgress === undefined) return undefined;
  const progress = new ProgressMeter();
  return (event) => onProgress(progress.next(event, performance.now()));
}

/** Rejects with the signal's reason soon after it, whatever the worker is doing, and ends the worker then. */
export function heedSignal<Result>(
  connection: Connection,
  call: Promise<Result>,
  signal: AbortSignal | undefined,
): Promise<Result> {
  if (signal === undefined) return call;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const onAbort = (): void => {
    timer = setTimeout(() => connection.end(new LinnetError('closed', 'The load was cancelled.')), CANCEL_MILLISECONDS);
  };
  signal.addEventListener('abort', onAbort, { once: true });
  return call
    .catch((error: unknown) => {
      throw signal.aborted ? abortReason(signal) : error;
    })
    .finally(() => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    });
}

/** Asks that the browser keeps what is stored when the disk fills up. A worker may not ask; a refusal changes nothing. */
function keepStored(): void {
  const storage = globalThis.navigator?.storage;
  void storage?.persist?.().catch(() => {});
}

async function loadWith(
  choice: BuildChoice,
  folder: URL | undefined,
  request: LoadRequest,
  options: LoadOptions,
): Promise<ModelHandle> {
  const { signal } = options;
  const connection = connect(choice, folder);
  try {
    const event = meter(options.onProgress);
    const call = connection.call('load', request, { ...(signal && { signal }), ...(event && { event }) });
    const { info, plan } = await heedSignal(connection, call, signal);
    keepStored();
    return new ModelHandle(connection, info, plan);
  } catch (error) {
    connection.end(new LinnetError('closed', 'The model was not loaded.'));
    throw error;
  }
}

export async function load(source: ModelSource, options: LoadOptions = {}): Promise<ModelHandle> {
  const { threads, ...checked } = checkLoad(options);
  const request: LoadRequest = { source: sourceOf(source, 'Linnet.load'), ...checked };
  if (options.signal?.aborted === true) throw abortReason(options.signal);
  const folder = options.assets === undefined ? undefined : folderOf(options.assets);
  lastFolder = folder;
  const choice = chooseBuild(threads);
  try {
    return await loadWith(choice, folder, request, options);
  } catch (error) {
    // Shared memory that the browser promises and does not give (phones): one thread does without it.
    if (!(error instanceof StartError) || threads !== 'auto' || choice.threads === 1) throw error;
    return loadWith(chooseBuild(1), folder, request, options);
  }
}

/** What loading it would take; the header alone is read, or fetched. */
export async function plan(source: ModelSource, options: PlanOptions = {}): Promise<Plan> {
  const { signal } = options;
  const { threads, memory, context, kvFormat, residentSessions, measure } = checkPlan(options);
  const from = sourceOf(source, 'Linnet.plan');
  if (signal?.aborted === true) throw abortReason(signal);
  const choice = chooseBuild(threads);
  const request = { source: from, memory, context, kvFormat, residentSessions, threads: choice.threads, measure };
  if (!measure) return storageCall('plan', request, signal === undefined ? {} : { signal });
  // It is measured by the build that would compute.
  const connection = connect(choice, options.assets === undefined ? undefined : folderOf(options.assets));
  try {
    return await heedSignal(connection, connection.call('plan', request, signal === undefined ? {} : { signal }), signal);
  } finally {
    connection.end(new LinnetError('closed', 'The plan is made.'));
  }
}

let shared: Connection | undefined;
let lastFolder: URL | undefined; // of the last load: stored models are asked for with the same files
let callsInFlight = 0;
let idle: ReturnType<typeof setTimeout> | undefined;

/** A call to storage alone, in a worker that ends by itself. */
async function storageCall<Name extends CallName>(
  name: Name,
  input: Calls[Name]['in'],
  options: { signal?: AbortSignal; event?: (event: Calls[Name]['event']) => void } = {},
): Promise<Calls[Name]['out']> {
  clearTimeout(idle);
  if (shared === undefined || shared.closed) shared = connect(chooseBuild(1), lastFolder);
  const connection = shared;
  ++callsInFlight;
  try {
    return await connection.call(name, input, options);
  } finally {
    if (--callsInFlight === 0) {
      idle = setTimeout(() => connection.end(new LinnetError('closed', 'The worker was idle.')), IDLE_MILLISECONDS);
    }
  }
}

export const models: Models = {
  list: () => storageCall('list', null),
  size: () => storageCall('size', null),
  async verify(url, options = {}) {
    checkNames(options, ['onProgress', 'signal'], 'models.verify');
    const event = meter(options.onProgress);
    return storageCall(
      'verify',
      { url: addressOf(url, 'models.verify') },
      { ...(options.signal && { signal: options.signal }), ...(event && { event }) },
    );
  },
  async delete(url) {
    await storageCall('delete', { url: addressOf(url, 'models.delete') });
  },
};
