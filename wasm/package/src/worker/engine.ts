// The open model: the module's answers become values or LinnetErrors, and its few sessions become slots that conversations use
// in turn.
import { LinnetError, type ErrorCode } from '../errors.js';
import type { MemoryUse, Message, ModelInfo, Plan } from '../types.js';
import type { ByteSource } from './byte_source.js';
import { SLICE_MILLISECONDS } from './pause.js';
import {
  TEXT_PLAIN,
  type Answer,
  type GenerationOptions,
  type LinnetModule,
  type ModuleBench,
  type ModuleModel,
  type ModuleOptions,
  type ModuleProgress,
  type ModuleSource,
  type ModuleStats,
  type ModuleStep,
  type SnapshotSink,
} from './module.js';

const CODES: Record<Answer['status'], ErrorCode> = {
  ok: 'worker',
  'bad argument': 'bad-argument',
  'bad file': 'bad-file',
  'does not fit': 'does-not-fit',
  'input/output': 'storage',
  cancelled: 'worker',
  unsupported: 'unsupported',
};

/** The answer where it is 'ok'; else throws what it says. */
export function good<Value extends Answer>(answer: Value): Value {
  if (answer.status !== 'ok') throw new LinnetError(CODES[answer.status], answer.text ?? 'The model could not do this.');
  return answer;
}

interface Slot {
  session: number;
  owner: object | null; // whose tokens stand in it; null: a leftover that anyone may take
  usedAt: number;
}

/** Tokens at the beginning that are the same. */
export function commonPrefix(a: Int32Array, b: Int32Array): number {
  const most = Math.min(a.length, b.length);
  let same = 0;
  while (same < most && a[same] === b[same]) ++same;
  return same;
}

/** What is opened: a model of the module's, and what it reads from. */
export interface Opened {
  module: LinnetModule;
  model: ModuleModel;
  source: ModuleSource;
  /** Why the storage failed, where it did. */
  problem(): LinnetError | undefined;
}

export class Engine {
  readonly info: ModelInfo;
  readonly plan: Plan;
  private readonly module: LinnetModule;
  private readonly model: ModuleModel;
  private readonly problem: () => LinnetError | undefined;
  private readonly slots: Slot[] = [];
  private clock = 0;

  constructor({ module, model, source, problem }: Opened, options: ModuleOptions & { sessions: number }) {
    this.module = module;
    this.model = model;
    this.problem = problem;
    const { status, text, ...plan } = this.model.open(source, options);
    this.good(text === undefined ? { status } : { status, text });
    this.plan = plan;
    // What else the module tells of itself (numbers of tokens) is not the page's.
    const { name, vocabulary, hidden, layers, heads, kvHeads, headDim, feedForward, ...more } = this.model.info();
    const { context, modelContext, parameters, hasTokenizer, chatTemplate, kernels, threads } = more;
    const shape = { vocabulary, hidden, layers, heads, kvHeads, headDim, feedForward, context, modelContext, parameters };
    this.info = { name, ...shape, hasTokenizer, chatTemplate, kernels, threads };
    for (let i = 0; i < options.sessions; ++i) {
      this.slots.push({ session: good(this.model.openSession()).session, owner: null, usedAt: 0 });
    }
  }

  /** As `good`; where storage has failed with what the browser says of it. */
  private good<Value extends Answer>(answer: Value): Value {
    const problem = answer.status === 'input/output' ? this.problem() : undefined;
    if (problem === undefined) return good(answer);
    throw new LinnetError(problem.code, `${problem.message} (${answer.text ?? answer.status})`, { cause: problem });
  }

  // ---- text ----

  tokenize(text: string): Int32Array {
    return good(this.model.tokenize(text, TEXT_PLAIN)).tokens;
  }
  detokenize(tokens: Int32Array): string {
    return good(this.model.detokenize(tokens, TEXT_PLAIN)).piece;
  }
  chatTokens(messages: readonly Message[], flags: number): Int32Array {
    return good(this.model.chatTokens(messages, flags)).tokens;
  }
  chatFit(messages: readonly Message[], answerTokens: number): number {
    return good(this.model.chatFit(messages, answerTokens)).forgotten;
  }

  // ---- sessions ----

  /** A session for `owner`, who is about to have it hold `tokens`: its own; else a free one that holds the most of them; else
   *  the one that was used the longest time ago. */
  acquire(owner: object, tokens: Int32Array): number {
    const free = this.slots.filter((slot) => slot.owner === null);
    const most = free
      .map((slot) => ({ slot, same: commonPrefix(this.held(slot.session), tokens) }))
      .sort((a, b) => b.same - a.same)[0];
    const own = this.slots.find((slot) => slot.owner === owner);
    const slot = own ?? most?.slot ?? [...this.slots].sort((a, b) => a.usedAt - b.usedAt)[0];
    if (slot === undefined) throw new LinnetError('worker', 'The model has no sessions.');
    slot.owner = owner;
    slot.usedAt = ++this.clock;
    return slot.session;
  }

  /** What the session holds stays until someone takes it: who goes on from the same words finds them computed. */
  release(owner: object): void {
    for (const slot of this.slots) if (slot.owner === owner) slot.owner = null;
  }

  held(session: number): Int32Array {
    return this.model.tokens(session) ?? new Int32Array(0);
  }

  evaluate(session: number, tokens: Int32Array, milliseconds: number): ModuleProgress {
    return this.good(this.model.evaluate(session, tokens, milliseconds));
  }

  rewind(session: number, length: number): void {
    this.good(this.model.rewind(session, length));
  }

  /** The ceilings of this machine, measured beside this model; to be deleted before it. */
  openBench(): ModuleBench {
    const bench = new this.module.Bench();
    try {
      good(bench.open(this.model));
    } catch (error) {
      bench.delete();
      throw error;
    }
    return bench;
  }

  logits(session: number): Float32Array {
    const row = this.model.logits(session);
    if (row === null) throw new LinnetError('bad-argument', 'Nothing has been evaluated yet.');
    return row;
  }

  begin(session: number, options: GenerationOptions): void {
    this.good(this.model.begin(session, options));
  }

  step(session: number): ModuleStep {
    return this.good(this.model.step(session, SLICE_MILLISECONDS));
  }

  // ---- keys and values ----

  /** `to` gets what is computed for `from`, where a session is free. */
  share(from: object, to: object): void {
    const source = this.slots.find((slot) => slot.owner === from);
    const target = this.slots.find((slot) => slot.owner === null);
    if (source === undefined || target === undefined) return;
    if (this.model.copySession(target.session, source.session).status !== 'ok') return; // it is computed again
    target.owner = to;
    target.usedAt = ++this.clock;
  }

  /** Bytes that `save` writes; 0 where nothing of this owner is in memory. */
  snapshotBytes(owner: object): number {
    const slot = this.slots.find((each) => each.owner === owner);
    return slot === undefined ? 0 : this.model.snapshotBytes(slot.session);
  }

  save(owner: object, sink: SnapshotSink): void {
    const slot = this.slots.find((each) => each.owner === owner);
    if (slot !== undefined) this.good(this.model.saveSession(slot.session, sink));
  }

  /** False: it could not be used, and the tokens are computed again. */
  restore(owner: object, tokens: Int32Array, source: ByteSource): boolean {
    return this.model.restoreSession(this.acquire(owner, tokens), source).status === 'ok';
  }

  // ---- what it takes ----

  /** Of the session that this owner has, or of any. */
  stats(session: number): ModuleStats {
    return this.model.stats(session);
  }

  memory(): MemoryUse {
    const sums = this.slots.map((slot) => this.stats(slot.session));
    const sum = (name: keyof ModuleStats): number => sums.reduce((all, each) => all + each[name], 0);
    return {
      wasmBytes: this.module.wasmMemory.buffer.byteLength,
      arenaBytes: this.plan.totalBytes,
      bytesRead: sums[0]?.bytesRead ?? 0,
      bytesStreamed: sum('bytesStreamed'),
      scratchBytesRead: sum('scratchBytesRead'),
      scratchBytesWritten: sum('scratchBytesWritten'),
      passes: sum('passes'),
    };
  }
}
