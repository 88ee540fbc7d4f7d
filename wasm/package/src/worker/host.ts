// What the worker's calls are about: the wasm module, the open model, its conversations, and storage.
import { LinnetError } from '../errors.js';
import type {
  AnswerEvent,
  BenchProgress,
  BenchRequest,
  Calls,
  LoadRequest,
  PlanRequest,
  ProgressEvent,
  SessionState,
  Setup,
} from '../protocol.js';
import type { BenchResult, Message, ModelInfo, Plan, Reply, Sampling, SavedSession, VerifyResult } from '../types.js';
import { generate } from './answer.js';
import { bench } from './bench.js';
import type { ByteSource, ReportProgress } from './byte_source.js';
import { chats } from './chats.js';
import { Conversation } from './conversation.js';
import { checksumsOf } from './checksums.js';
import { Engine, good } from './engine.js';
import { logitsHash } from './logits_hash.js';
import type { Answer, LinnetModule, ModuleOptions } from './module.js';
import { Sha256 } from './sha256.js';
import { fastestKernels, startModule } from './start_module.js';
import { startStreaming, streamingOptions, type Streaming } from './streaming.js';
import { Turns } from './turns.js';
import { createConverter } from '../convert/converter.js';
import type { Converter } from '../store/interface.js';
import { createStore } from '../store/store.js';

type Ask = Calls['ask'];

export class Host {
  /** While the build is being started: a failure then may be the build's own. */
  starting = false;
  /** Ends the start: a thread that cannot be started is heard of only as an error of the whole worker. */
  failStart: (error: LinnetError) => void = () => {};
  private module: Promise<LinnetModule> | undefined;
  private opened: Engine | undefined;
  private source: ByteSource | undefined;
  private modelId = '';
  private converter: Promise<Converter> | undefined;
  readonly store = createStore();
  private readonly turns = new Turns();
  private readonly sessions = new Map<number, Conversation>();
  private nextSession = 1;

  constructor(private readonly setup: Setup) {}

  get engine(): Engine {
    if (this.opened === undefined) throw new LinnetError('closed', 'No model is open.');
    return this.opened;
  }

  async load(
    request: LoadRequest,
    signal: AbortSignal,
    event: (event: ProgressEvent) => void,
  ): Promise<{ info: ModelInfo; plan: Plan }> {
    if (this.opened !== undefined) throw new LinnetError('bad-argument', 'A model is open in this worker already.');
    const module = await this.startedModule();
    const options = {
      connections: request.connections,
      report: reportTo(event),
      signal,
      checksums: checksumsOf(module),
      converter: () => this.startedConverter(),
    };
    const obtain = (): Promise<ByteSource> =>
      typeof request.source === 'string'
        ? this.store.obtain(request.source, options)
        : this.store.obtainFile(request.source, options);
    const source = await obtain();
    let opened: Engine;
    try {
      opened = await this.openFrom(source, module, request, signal, event);
    } catch (error) {
      // The core found damage in what is stored: it is fetched anew, once.
      const damaged = error instanceof LinnetError && error.code === 'bad-file';
      if (!damaged || source.storedAs === undefined) throw error;
      if ((await this.store.verify(source.storedAs, options)).ok) throw error;
      opened = await this.openFrom(await obtain(), module, request, signal, event);
    }
    this.opened = opened;
    return { info: opened.info, plan: opened.plan };
  }

  private async openFrom(
    source: ByteSource,
    module: LinnetModule,
    request: LoadRequest,
    signal: AbortSignal,
    event: (event: ProgressEvent) => void,
  ): Promise<Engine> {
    const model = new module.Model();
    let streaming: Streaming | undefined;
    try {
      signal.throwIfAborted();
      this.modelId = identityOf(source);
      this.source = source;
      const options = {
        ...moduleOptions(request, this.setup.threads),
        kernels: request.kernels === 'auto' ? fastestKernels(module) : request.kernels,
      };
      streaming = await startStreaming(module, model, source, this.counted(source, event), options);
      signal.throwIfAborted();
      return new Engine({ ...streaming, module, model }, { ...options, ...streaming.options });
    } catch (error) {
      const problem = source.problem ?? '';
      await streaming?.close();
      model.delete();
      source.close();
      throw problem === '' ? error : new LinnetError('storage', problem, { cause: error });
    }
  }

  /** What loading this would take, without loading it. */
  async plan(request: PlanRequest, signal: AbortSignal): Promise<Plan> {
    const module = await this.startedModule();
    const options = { checksums: checksumsOf(module), signal };
    const source =
      typeof request.source === 'string'
        ? await this.store.peek(request.source, options)
        : await this.store.peekFile(request.source, options);
    try {
      const asked = moduleOptions(request, request.threads);
      // As if it stood in storage already, and in the build with so many threads.
      const reader = request.memory > 0 && request.threads > 1;
      const { scratchBytes } = await streamingOptions(module, source, asked);
      const planned = request.measure
        ? await this.measuredPlan(module, source, asked)
        : module.makePlan(source, { ...asked, reader, scratchBytes });
      const { status, text, ...plan } = planned;
      good(text === undefined ? { status } : { status, text });
      return plan;
    } finally {
      source.close();
    }
  }

  private async measuredPlan(module: LinnetModule, source: ByteSource, asked: ModuleOptions): Promise<Answer & Plan> {
    const model = new module.Model();
    const streaming = await startStreaming(module, model, source, source, asked);
    try {
      const options = { ...asked, kernels: fastestKernels(module), ...streaming.options, measure: true };
      return model.measuredPlan(streaming.source, options);
    } finally {
      await streaming.close();
      model.delete();
    }
  }

  async verify(url: string, signal: AbortSignal, event: (event: ProgressEvent) => void): Promise<VerifyResult> {
    const checksums = checksumsOf(await this.startedModule());
    return this.store.verify(url, { checksums, report: reportTo(event), signal });
  }

  open(system: string, messages: Message[], sampling: Sampling): SessionState {
    return this.add(Conversation.begin(this.engine, system, messages, sampling));
  }

  async ask(
    { session, text, options }: Ask['in'],
    signal: AbortSignal,
    event: (event: AnswerEvent) => void,
  ): Promise<Ask['out']> {
    const askedAt = performance.now();
    const conversation = this.conversation(session);
    const reply = await this.turns.take(signal, () => conversation.ask(text, options, askedAt, signal, event));
    return { reply: reply === 'cancelled' ? NOTHING_SAID : reply, messages: conversation.state.messages };
  }

  async complete(
    { text, options }: Calls['complete']['in'],
    signal: AbortSignal,
    event: (event: AnswerEvent) => void,
  ): Promise<Reply> {
    const askedAt = performance.now();
    const { engine } = this;
    const prompt = engine.tokenize(text);
    if (prompt.length === 0)
      throw new LinnetError('bad-argument', 'The text is empty, and this model needs one to go on from.');
    if (prompt.length >= engine.info.context) {
      throw new LinnetError(
        'does-not-fit',
        `The text has ${prompt.length} tokens and the context ${engine.info.context}: shorten it, or load with a larger one.`,
      );
    }
    const owner = {};
    const result = await this.turns.take(signal, async () => {
      try {
        return await generate(engine, owner, prompt, options, false, askedAt, signal, event);
      } finally {
        engine.release(owner);
      }
    });
    if (result === 'cancelled') return NOTHING_SAID;
    const { tokens, cached, ...said } = result;
    return {
      ...said,
      usage: {
        promptTokens: prompt.length,
        cachedTokens: cached,
        completionTokens: tokens.length,
        totalTokens: prompt.length + tokens.length,
        forgottenMessages: 0,
      },
    };
  }

  async rewind(session: number, length: number, signal: AbortSignal): Promise<Message[] | 'cancelled'> {
    const conversation = this.conversation(session);
    return this.turns.take(signal, () => {
      conversation.rewind(length);
      return conversation.state.messages;
    });
  }

  async clone(session: number, signal: AbortSignal): Promise<SessionState | 'cancelled'> {
    const conversation = this.conversation(session);
    return this.turns.take(signal, () => {
      const copy = conversation.clone();
      this.engine.share(conversation, copy);
      return this.add(copy);
    });
  }

  async close(session: number, signal: AbortSignal): Promise<null> {
    const conversation = this.conversation(session);
    await this.turns.take(signal, () => {
      this.engine.release(conversation);
      this.sessions.delete(session);
    });
    return null;
  }

  async save(session: number, name: string, signal: AbortSignal): Promise<SavedSession | 'cancelled'> {
    const conversation = this.conversation(session);
    const { engine } = this;
    return this.turns.take(signal, () =>
      chats.write(name, { id: this.modelId, name: engine.info.name }, conversation.state, {
        bytes: engine.snapshotBytes(conversation),
        write: (sink) => engine.save(conversation, sink),
      }),
    );
  }

  async restore(name: string, signal: AbortSignal): Promise<SessionState | 'cancelled'> {
    const { engine } = this;
    return this.turns.take(signal, async () => {
      const { state, snapshot } = await chats.read(name, { id: this.modelId, name: engine.info.name });
      const conversation = new Conversation(engine, state);
      // Where it cannot be used (another context, other kinds of keys and values), the next question computes what it needs.
      if (snapshot.size > 0) engine.restore(conversation, state.history, snapshot);
      snapshot.close();
      return this.add(conversation);
    });
  }

  async logitsHash(tokens: Int32Array, signal: AbortSignal): Promise<string | 'cancelled'> {
    const { engine } = this;
    return this.turns.take(signal, () => logitsHash(engine, tokens, signal));
  }

  async bench(
    request: BenchRequest,
    signal: AbortSignal,
    event: (event: BenchProgress) => void,
  ): Promise<BenchResult | 'cancelled'> {
    const { engine, source } = this;
    if (source === undefined) throw new LinnetError('closed', 'No model is open.');
    return this.turns.take(signal, () => bench(engine, source, request, signal, event));
  }

  private async startedModule(): Promise<LinnetModule> {
    const { assets, threads } = this.setup;
    this.starting = true;
    this.module ??= new Promise((resolve, reject) => {
      this.failStart = reject;
      startModule<LinnetModule>(assets.glue, assets.wasm, threads).then(resolve, reject);
    });
    const module = await this.module;
    this.starting = false;
    return module;
  }

  /** The second wasm, when a GGUF file is met. */
  private startedConverter(): Promise<Converter> {
    const { convertGlue, convertWasm } = this.setup.assets;
    this.converter ??= createConverter({ glue: convertGlue, wasm: convertWasm });
    return this.converter;
  }

  /** Says how far the opening is, while the module reads. */
  private counted(source: ByteSource, event: (event: ProgressEvent) => void): ByteSource {
    let loaded = 0;
    let saidAt = 0;
    return {
      size: source.size,
      close: () => source.close(),
      read: (offset, into) => {
        const bytes = source.read(offset, into);
        if (this.opened !== undefined) return bytes; // weights that are streamed with every token
        loaded = Math.min(source.size, loaded + bytes);
        if (performance.now() - saidAt > 50 || loaded === source.size) {
          saidAt = performance.now();
          event({ phase: 'open', loaded, total: source.size, resumedFrom: 0 });
        }
        return bytes;
      },
    };
  }

  private conversation(session: number): Conversation {
    const conversation = this.sessions.get(session);
    if (conversation === undefined) throw new LinnetError('closed', 'This session was closed: open another.');
    return conversation;
  }

  private add(conversation: Conversation): SessionState {
    const session = this.nextSession++;
    this.sessions.set(session, conversation);
    return { session, system: conversation.state.system, messages: conversation.state.messages };
  }
}

const moduleOptions = (request: PlanRequest | LoadRequest, threads: number): ModuleOptions & { sessions: number } => ({
  memory: request.memory,
  context: request.context,
  kvFormat: request.kvFormat,
  sessions: request.residentSessions,
  threads,
});

const reportTo =
  (event: (event: ProgressEvent) => void): ReportProgress =>
  (phase, loaded, total, resumedFrom) =>
    event({ phase, loaded, total, resumedFrom });

/** The beginning of a .linnet file has its sizes and the checksum of its metadata, the end one over those of all weights. */
function identityOf(source: ByteSource): string {
  const header = new Uint8Array(512);
  const end = new Uint8Array(4);
  source.read(0, header);
  source.read(source.size - end.length, end);
  return new Sha256().update(header).update(end).digest();
}

/** The reply to a question that was taken back before its turn came. */
const NOTHING_SAID: Reply = {
  text: '',
  finish: 'cancelled',
  usage: { promptTokens: 0, cachedTokens: 0, completionTokens: 0, totalTokens: 0, forgottenMessages: 0 },
  timings: {
    prefillMilliseconds: 0,
    decodeMilliseconds: 0,
    prefillTokensPerSecond: 0,
    decodeTokensPerSecond: 0,
    passes: 0,
    tokensPerPass: 0,
    firstTokenMilliseconds: 0,
    bytesStreamed: 0,
  },
};
