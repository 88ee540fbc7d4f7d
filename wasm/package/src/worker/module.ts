// The wasm module as Embind shows it (wasm/bindings): one place for its shape, so that the rest of the worker is typed.
import type { ByteSource, FileLayout } from './byte_source.js';
import type { BenchResult, Finish, Message, ModelInfo, Plan, Sampling } from '../types.js';

/** How every call that can fail answers: 'ok', or what kind of failure with a sentence. */
export interface Answer {
  status: 'ok' | 'bad argument' | 'bad file' | 'does not fit' | 'input/output' | 'cancelled' | 'unsupported';
  text?: string;
}

export interface ModuleOptions {
  context?: number;
  sessions?: number;
  memory?: number;
  kvFormat?: number;
  threads?: number;
  kernels?: string;
  /** A reader serves the words at readerAddress(). */
  reader?: boolean;
  /** Of storage for keys and values; 0 or absent: there is none. */
  scratchBytes?: number;
  /** This device's rates are measured for the plan. */
  measure?: boolean;
}

/** Storage for keys and values where there is no reader. Both give the bytes that were transferred. Never throw. */
export interface ScratchAccess {
  read(offset: number, into: Uint8Array): number;
  write(offset: number, from: Uint8Array): number;
}

export interface ModuleSource extends Pick<ByteSource, 'size' | 'read'> {
  scratch?: ScratchAccess;
}

/** Sums since the model was opened or, where it says so, of one session. */
export interface ModuleStats {
  bytesRead: number;
  bytesStreamed: number;
  scratchBytesRead: number;
  scratchBytesWritten: number;
  passes: number;
}

export interface GenerationOptions extends Sampling {
  maxTokens?: number;
  stop?: string[];
  /** null: the core decides. */
  speculate?: boolean | null;
}

export interface ModuleStep extends Answer {
  token: number;
  piece: string;
  /** It took longer than the time that was given: call again. */
  paused?: boolean;
  finish?: Finish;
  /** So far: passes over the weights, and guessed tokens that came true. */
  passes: number;
  accepted: number;
}

export interface ModuleProgress {
  done: boolean;
  /** Of `tokensTotal` that have to be computed, those that are; a fraction counts layers. */
  tokensDone: number;
  tokensTotal: number;
}

/** Takes a session's keys and values in order; false: there is no room. Never throws. */
export interface SnapshotSink {
  write(bytes: Uint8Array): boolean;
}

export const CHAT_ANSWER = 1;
export const CHAT_CONTINUES = 2;
export const TEXT_PLAIN = 0;

export interface ModuleModel {
  open(source: ModuleSource, options: ModuleOptions): Answer & Plan;
  measuredPlan(source: ModuleSource, options: ModuleOptions): Answer & Plan;
  readerAddress(): number;
  info(): ModelInfo;
  tokenize(text: string, flags: number): Answer & { tokens: Int32Array };
  detokenize(tokens: Int32Array, flags: number): Answer & { piece: string };
  chatTokens(messages: readonly Message[], flags: number): Answer & { tokens: Int32Array };
  chatFit(messages: readonly Message[], answerTokens: number): Answer & { forgotten: number };
  openSession(): Answer & { session: number };
  closeSession(session: number): void;
  tokens(session: number): Int32Array | null;
  rewind(session: number, length: number): Answer;
  copySession(to: number, from: number): Answer;
  snapshotBytes(session: number): number;
  saveSession(session: number, sink: SnapshotSink): Answer;
  restoreSession(session: number, source: ByteSource): Answer;
  evaluate(session: number, tokens: Int32Array, milliseconds: number): Answer & ModuleProgress;
  logits(session: number): Float32Array | null;
  stats(session: number): ModuleStats;
  begin(session: number, options: GenerationOptions): Answer;
  step(session: number, milliseconds: number): ModuleStep;
  delete(): void;
}

export interface BenchTimesRow {
  after: number;
  tokens: number;
  /** One of each for every round; the ceilings in bytes and multiplications a second, no readCeilings of a prompt. */
  rates: number[];
  readCeilings: number[];
  dotCeilings: number[];
}

export interface BenchTimes {
  model: string;
  rounds: number;
  prefill: BenchTimesRow[];
  decode: BenchTimesRow[];
  machine: { processor: string; cores: number };
  load: { cold: number; cached: number; loading: number; storage: number; bytes: number };
  streamed: number;
  peak: number;
}

export interface ModuleBench {
  open(model: ModuleModel): Answer;
  /** Each some ten milliseconds: bytes, multiplications a second. */
  readRate(): number;
  dotRate(tokens: number): number;
  report(times: BenchTimes): BenchResult;
  delete(): void;
}

export interface LinnetModule {
  Model: new () => ModuleModel;
  Bench: new () => ModuleBench;
  makePlan(source: ModuleSource, options: ModuleOptions): Answer & Plan;
  kernelNames(): string[];
  fileLayout(header: Uint8Array): Answer & FileLayout;
  metadataProblem(header: Uint8Array, metadata: Uint8Array): string;
  crc32c(bytes: Uint8Array): number;
  crc32c(bytes: Uint8Array, before: number): number;
  /** Multiply-accumulates a microsecond. */
  measureKernels(name: string, tokens: number, megabytes: number, rounds: number): number;
  wasmMemory: WebAssembly.Memory;
}

export interface ModuleArguments {
  linnetThreads?: number;
  instantiateWasm?: (
    imports: WebAssembly.Imports,
    done: (instance: WebAssembly.Instance, module: WebAssembly.Module) => void,
  ) => object;
}

export type CreateModule<Module> = (options: ModuleArguments) => Promise<Module>;
