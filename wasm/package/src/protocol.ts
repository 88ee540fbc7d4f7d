// What the page and the worker say to each other. Every request has an id; answers, events and cancellations name it.
import type { ErrorCode } from './errors.js';
import type {
  BenchResult,
  BuildName,
  LoadPhase,
  MemoryUse,
  Message,
  ModelInfo,
  Plan,
  Reply,
  Sampling,
  SavedSession,
  StoredModel,
  VerifyResult,
} from './types.js';

/** Absolute addresses of what the worker loads. */
export interface Assets {
  glue: string;
  wasm: string;
  convertGlue: string;
  convertWasm: string;
}

export interface Setup {
  build: BuildName;
  threads: number;
  assets: Assets;
}

/** What a plan depends on. */
export interface PlanRequest {
  source: string | Blob;
  memory: number;
  context: number;
  kvFormat: number;
  residentSessions: number;
  threads: number;
  measure: boolean;
}

export interface LoadRequest extends Omit<PlanRequest, 'threads' | 'measure'> {
  kernels: string;
  connections: number;
}

export interface AnswerOptions {
  stop: string[];
  maxTokens: number;
  sampling: Sampling;
  /** null: where it is worth it. */
  speculate: boolean | null;
}

export interface BenchRequest {
  /** Lengths, ascending; 0: none before what is decoded. */
  prompts: number[];
  decode: number;
  /** 0: as many as time allows. */
  rounds: number;
  /** Of the model, for people; '': its own. */
  name: string;
  /** Seconds of the starts: to the first token, and to the open model. */
  load: { cold: number; cached: number; loading: number };
}

export interface BenchProgress {
  done: number;
  total: number;
}

export interface ProgressEvent {
  phase: LoadPhase;
  loaded: number;
  total: number;
  resumedFrom: number;
}

/** While an answer is made: text that is certain, or tokens of the prompt that were read. */
export type AnswerEvent = { piece: string } | { prefill: number; total: number };

/** A session as the worker tells of it; `messages` is all of them, the system's text not among them. */
export interface SessionState {
  session: number;
  system: string;
  messages: Message[];
}

/** Every call: what goes in, what comes out, and what comes meanwhile. */
export interface Calls {
  load: { in: LoadRequest; out: { info: ModelInfo; plan: Plan }; event: ProgressEvent };
  tokenize: { in: { text: string }; out: Int32Array; event: never };
  detokenize: { in: { tokens: Int32Array }; out: string; event: never };
  open: { in: { system: string; messages: Message[]; sampling: Sampling }; out: SessionState; event: never };
  /** `text` null: the last question again. */
  ask: {
    in: { session: number; text: string | null; options: AnswerOptions };
    out: { reply: Reply; messages: Message[] };
    event: AnswerEvent;
  };
  complete: { in: { text: string; options: AnswerOptions }; out: Reply; event: AnswerEvent };
  rewind: { in: { session: number; length: number }; out: Message[]; event: never };
  clone: { in: { session: number }; out: SessionState; event: never };
  close: { in: { session: number }; out: null; event: never };
  save: { in: { session: number; name: string }; out: SavedSession; event: never };
  restore: { in: { name: string }; out: SessionState; event: never };
  saved: { in: null; out: SavedSession[]; event: never };
  forget: { in: { name: string }; out: null; event: never };
  logitsHash: { in: { tokens: Int32Array }; out: string; event: never };
  bench: { in: BenchRequest; out: BenchResult; event: BenchProgress };
  plan: { in: PlanRequest; out: Plan; event: never };
  memory: { in: null; out: MemoryUse; event: never };
  list: { in: null; out: StoredModel[]; event: never };
  size: { in: null; out: { usedBytes: number; freeBytes: number; persistent: boolean }; event: never };
  verify: { in: { url: string }; out: VerifyResult; event: ProgressEvent };
  delete: { in: { url: string }; out: null; event: never };
}

export type CallName = keyof Calls;

export type Request =
  { setup: Setup } | { cancel: number } | { [Name in CallName]: { id: number; call: Name; with: Calls[Name]['in'] } }[CallName];

export interface WireError {
  /** 'cancelled' is an AbortError on the page. */
  code: ErrorCode | 'cancelled';
  message: string;
  /** Nothing more will come from this worker. */
  fatal: boolean;
  /** The build itself could not be started: another one may do. */
  start: boolean;
}

export type Response =
  | { ready: true }
  | { id: number; result: Calls[CallName]['out'] }
  | { id: number; event: Calls[CallName]['event'] }
  | { id: number; error: WireError };
