// The open model: the module's answers become values or LinnetErrors, and its few sessions become slots that conversations use
// in turn.
import { LinnetError, type ErrorCode } from '../errors.js';
import type { Message, ModelInfo, Plan } from '../types.js';
import type { ByteSource } from './byte_source.js';
import { SLICE_MILLISECONDS } from './pause.js';
import {
  TEXT_PLAIN,
  type Answer,
  type GenerationOptions,
  type LinnetModule,
  type ModuleModel,
  type ModuleOptions,
  type ModuleProgress,
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

export class Engine {
  readonly info: ModelInfo;
  readonly plan: Plan;
  private readonly model: ModuleModel;
  private readonly slots: Slot[] = [];
  private clock = 0;

  constructor(
    private readonly module: LinnetModule,
    source: ByteSource,
    options: ModuleOptions & { sessions: number },
  ) {
    this.model = new module.Model();
    const { status, text, ...plan } = this.model.open(source, options);
    if (status !== 'ok') this.model.delete();
    good(text === undefined ? { status } : { status, text });
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
    return good(this.model.evaluate(session, tokens, milliseconds));
  }

  logits(session: number): Float32Array {
    const row = this.model.logits(session);
    if (row === null) throw new LinnetError('bad-argument', 'Nothing has been evaluated yet.');
    return row;
  }

  begin(session: number, options: GenerationOptions): void {
    good(this.model.begin(session, options));
  }

  step(session: number): ModuleStep {
    return good(this.model.step(session, SLICE_MILLISECONDS));
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
    if (slot !== undefined) good(this.model.saveSession(slot.session, sink));
  }

  /** False: it could not be used, and the tokens are computed again. */
  restore(owner: object, tokens: Int32Array, source: ByteSource): boolean {
    return this.model.restoreSession(this.acquire(owner, tokens), source).status === 'ok';
  }

  memory(): { wasmBytes: number; arenaBytes: number } {
    return { wasmBytes: this.module.wasmMemory.buffer.byteLength, arenaBytes: this.plan.totalBytes };
  }
}
