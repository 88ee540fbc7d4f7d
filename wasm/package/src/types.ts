// The public types of the package: what a web developer reads first.
import type { LinnetError } from './errors.js';

/** Bytes: a number, or a text such as '2GB' (10^9 each), '1.5 GB', '800MB', '2GiB'. */
export type Bytes = number | string;

/** Where a model comes from: an address (http, https, or relative to the page), or a file that the person chose.
 *  A .linnet file is used as it is; a GGUF file is converted in the worker. */
export type ModelSource = string | URL | Blob;

export type LoadPhase =
  | 'wait' // another tab is fetching the same model; this one uses it when it is there
  | 'download' // from the network into this browser's storage
  | 'convert' // GGUF to .linnet, while it downloads
  | 'verify' // checksums of what was stored
  | 'open'; // from storage into memory

export interface Progress {
  phase: LoadPhase;
  /** Bytes of this phase that are done, those of an earlier visit included. */
  loaded: number;
  /** Bytes of this phase in all; 0 while it is not known. */
  total: number;
  /** Bytes a second, smoothed over the last seconds; 0 at the start. */
  bytesPerSecond: number;
  /** Seconds left at this rate; Infinity while it is not known. */
  secondsLeft: number;
  /** Bytes that were in storage already when this load began. */
  resumedFrom: number;
}

export interface LoadOptions {
  /** The most memory that the model may take, weights and conversation and all. Default: what it needs. A model that is larger is
   *  read from storage as it computes, which makes it slower the more of it does not fit: Linnet.plan() says how much. */
  memory?: Bytes;
  /** Tokens that a conversation may have. Default: the model's own context, at most 4096. */
  context?: number;
  /** Threads to compute with. 'auto' (default): as many as there are cores, at most 8; 1 where the page is not
   *  cross-origin isolated. More than the browser allows is refused. */
  threads?: 'auto' | number;
  /** Numbers that keys and values are kept in. Default 'int8'; 'int4' takes half of that and is a little less exact. */
  kv?: 'int8' | 'int4' | 'f16' | 'f32';
  /** Conversations whose keys and values stay in memory at the same time, 1 to 64. Default 1: others are computed again when
   *  they go on. */
  residentSessions?: number;
  /** The kernels: 'auto' (default) takes relaxed SIMD where it is there, unless plain is clearly faster; a name is for tests. */
  kernels?: 'auto' | 'scalar' | 'wasm-simd128' | 'wasm-relaxed';
  /** Chunks of a download that are asked for at the same time, 1 to 16. Default 4. */
  connections?: number;
  /** The folder that the package's files are served from. Default: beside the module. */
  assets?: string | URL;
  onProgress?: (progress: Progress) => void;
  /** Stops the load within 200 ms. What has been downloaded stays, and the next load goes on there. */
  signal?: AbortSignal;
}

/** Of LoadOptions, those that a plan depends on. */
export type PlanOptions = Pick<
  LoadOptions,
  'memory' | 'context' | 'threads' | 'kv' | 'residentSessions' | 'assets' | 'signal'
> & {
  /** Whether this device's rates are measured, for `secondsPerToken`: about a second. Only with a model that is stored, or a file of
   *  the person's. Default false. */
  measure?: boolean;
};

/** Bytes of the model's memory by purpose: `totalBytes` is all that it takes.
 *
 *  Where everything fits under the ceiling, weights and conversations have their fixed places. Where it does not, they share a
 *  pool of equal pages: some of the weights stay, the others are read from this device's storage in each pass over them. As a
 *  conversation grows, its keys and values take pages from the weights; those that find no page are put aside in storage and read
 *  back in each pass. Figures are those of full conversations unless they say otherwise. */
export interface Plan {
  /** Weights held in memory. */
  weightsBytes: number;
  /** Always 0 in a browser: no file is mapped. */
  mappedBytes: number;
  /** Pages through which what is streamed passes. */
  ringBytes: number;
  /** Keys and values held in memory. */
  kvBytes: number;
  /** Working memory of a pass. */
  activationBytes: number;
  tokenizerBytes: number;
  sessionBytes: number;
  otherBytes: number;
  totalBytes: number;
  /** What a ceiling keeps for the module itself beside `totalBytes`: its data, its stacks, the step in which its memory grows. 0
   *  without a ceiling. */
  programBytes: number;
  /** Tokens of a conversation. */
  context: number;
  /** Tokens that are computed together. */
  batch: number;
  /** Tokens of a prompt that one pass over the weights serves. */
  span: number;
  /** Layers of which nothing is streamed, and the others. */
  layersResident: number;
  layersStreamed: number;
  /** 0: everything has its fixed place, and nothing is streamed. */
  pageBytes: number;
  /** Of the pool. */
  pages: number;
  /** That the weights are cut into; those of them that stay, and those that stay while conversations are empty. */
  pieces: number;
  piecesResident: number;
  piecesResidentAtStart: number;
  /** Weights that each pass reads from storage: with full conversations, and with empty ones. A token that is generated takes a
   *  pass; of a prompt, `span` tokens share one. */
  streamedBytesPerPass: number;
  streamedBytesPerPassAtStart: number;
  /** Keys and values that are put aside in storage, and read back in each pass. */
  spilledBytes: number;
  /** What a generated token reads, wherever it lies. */
  weightBytesPerToken: number;
  kvBytesPerToken: number;
  /** What this device reads from its storage and computes, measured where some of the model is streamed, or where it is asked for;
   *  0: not known. */
  readBytesPerSecond: number;
  computeBytesPerSecond: number;
  /** What a generated token is predicted to take by these: in a full conversation, and in an empty one. */
  secondsPerToken: number;
  secondsPerTokenAtStart: number;
}

export interface ModelInfo {
  name: string;
  vocabulary: number;
  hidden: number;
  layers: number;
  heads: number;
  kvHeads: number;
  headDim: number;
  feedForward: number;
  /** Tokens a conversation of this load may have. */
  context: number;
  /** What the model was trained for. */
  modelContext: number;
  parameters: number;
  hasTokenizer: boolean;
  chatTemplate: string;
  kernels: string;
  threads: number;
}

export interface Sampling {
  /** 0: always the most likely token. 0 to 10, default 0.7. */
  temperature?: number;
  /** Keep the k most likely; 0: all. Default 40. */
  topK?: number;
  /** Keep the fewest whose probabilities reach p. Above 0, at most 1. Default 0.95. */
  topP?: number;
  /** Drop those below minP times the most likely. 0 to 1. Default 0.05. */
  minP?: number;
  /** Above 0, at most 10; 1: none (default). */
  repetitionPenalty?: number;
  /** How many recent tokens the penalty looks at; 0: all. Default 64. */
  repetitionWindow?: number;
  /** The same seed gives the same text. Default: another one each time. */
  seed?: number;
}

export type Role = 'system' | 'user' | 'assistant';
export interface Message {
  role: Role;
  content: string;
}

export interface SessionOptions {
  system?: string;
  /** Messages that were said before. A system message in first place is the same as `system`. */
  messages?: Message[];
  sampling?: Sampling;
}

export interface PromptOptions {
  /** Ends the answer within 200 ms: the loop ends, and the reply has `finish: 'cancelled'`. What was said stays in the
   *  conversation; where nothing was, the conversation is as it was before. */
  signal?: AbortSignal;
  /** Texts that end the answer; they are not part of it. At most 16. */
  stop?: string | string[];
  maxTokens?: number;
  /** In the place of the session's, for this answer. */
  sampling?: Sampling;
  /** Guesses what comes next from what was said before, and computes it in the same pass over the weights: fewer passes where a
   *  text is summarised, edited or quoted, and the same answer always. 'auto' (default): where weights are streamed. */
  speculate?: 'auto' | boolean;
  /** Called while the prompt is read, before the first piece: tokens done and in all. */
  onPrefill?: (done: number, total: number) => void;
}

export type Finish =
  | 'end' // the model ended its answer
  | 'stop' // a stop text came up
  | 'length' // maxTokens
  | 'context' // the context is full
  | 'cancelled'; // the signal, or the loop was left

export interface Usage {
  /** Tokens of the whole conversation that the answer was given to. */
  promptTokens: number;
  /** Of these, tokens that were held from before and cost nothing. */
  cachedTokens: number;
  /** Tokens of the answer. */
  completionTokens: number;
  totalTokens: number;
  /** Oldest messages that were left out since the conversation has outgrown the context. */
  forgottenMessages: number;
}

export interface Timings {
  prefillMilliseconds: number;
  decodeMilliseconds: number;
  prefillTokensPerSecond: number;
  decodeTokensPerSecond: number;
  /** Passes over the weights after the prompt. */
  passes: number;
  /** Tokens that a pass brought; above 1 where guesses came true (see PromptOptions.speculate). 0 without a pass. */
  tokensPerPass: number;
  firstTokenMilliseconds: number;
  /** Read from storage for this answer since it had no place in memory. */
  bytesStreamed: number;
}

/** A model's memory as it is now, in bytes. */
export interface MemoryUse {
  /** WebAssembly memory: the arena, the module itself, what calls need for a moment. */
  wasmBytes: number;
  /** The model's arena: the plan's total. */
  arenaBytes: number;
  /** Since the model was opened: read from its file, weights of these that had no place in memory, keys and values that were put
   *  aside and read back, passes over the weights. */
  bytesRead: number;
  bytesStreamed: number;
  scratchBytesRead: number;
  scratchBytesWritten: number;
  passes: number;
}

export interface Reply {
  text: string;
  finish: Finish;
  usage: Usage;
  timings: Timings;
}

/** An answer as it comes: text in whole characters. After the loop, `reply` has all of it. Leaving the loop cancels. */
export interface ReplyStream extends AsyncIterable<string> {
  readonly reply: Promise<Reply>;
  cancel(): void;
}

export interface SavedSession {
  name: string;
  /** The conversation's length when it was saved. */
  messages: number;
  tokens: number;
  bytes: number;
  savedAt: Date;
}

/** One conversation. Questions asked while one is answered wait for it, those of the model's other sessions too: an answer has
 *  the model for itself. */
export interface Session {
  /** The system's text; '' where there is none. */
  readonly system: string;
  /** What was said, the system's text not among it; as of the last answer that ended. */
  readonly messages: readonly Message[];
  stream(text: string, options?: PromptOptions): ReplyStream;
  prompt(text: string, options?: PromptOptions): Promise<Reply>;
  /** Answers the last user message anew: the last answer is dropped. */
  regenerate(options?: PromptOptions): ReplyStream;
  /** Drops messages from the end: those at `length` and after it. */
  rewind(length: number): Promise<void>;
  /** A second conversation with the same past. */
  clone(): Promise<Session>;
  /** Into this browser's storage, keys and values with it, so that it goes on without being computed again. */
  save(name: string): Promise<SavedSession>;
  close(): Promise<void>;
}

export interface LogitsOptions {
  signal?: AbortSignal;
}

/** One open model, in a worker of its own. */
export interface Model {
  readonly info: ModelInfo;
  readonly plan: Plan;
  session(options?: SessionOptions): Promise<Session>;
  restore(name: string): Promise<Session>;
  saved(): Promise<SavedSession[]>;
  forget(name: string): Promise<void>;
  tokenize(text: string): Promise<Int32Array>;
  detokenize(tokens: ArrayLike<number>): Promise<string>;
  countTokens(text: string): Promise<number>;
  /** Plain continuation of a text, without a chat template. */
  complete(text: string, options?: PromptOptions): ReplyStream;
  /** SHA-256 of the float32 logits of every one of these tokens, as `linnet logits --hash` prints it. */
  logitsHash(tokens: ArrayLike<number>, options?: LogitsOptions): Promise<string>;
  memory(): Promise<MemoryUse>;
  /** Ends the worker and gives its memory back. */
  unload(): Promise<void>;
}

/** What stands in this browser's storage. */
export interface StoredModel {
  /** The address that it was fetched from. */
  url: string;
  /** The model's own name; the file's, while it is not known. */
  name: string;
  /** Bytes on the disk. */
  bytes: number;
  /** Bytes that the whole model has; 0 while it is not known. */
  totalBytes: number;
  complete: boolean;
  storedAt: Date;
}

export interface VerifyResult {
  ok: boolean;
  /** What is wrong, in a sentence; empty when all is well. Damaged chunks are fetched again by the next load. */
  problem: string;
}

export interface Models {
  list(): Promise<StoredModel[]>;
  /** Bytes in use by stored models, and what the browser says is left for this site. */
  size(): Promise<{ usedBytes: number; freeBytes: number; persistent: boolean }>;
  verify(url: string, options?: { onProgress?: (progress: Progress) => void; signal?: AbortSignal }): Promise<VerifyResult>;
  delete(url: string): Promise<void>;
}

export interface Check {
  /** Whether a model can run here at all. */
  ok: boolean;
  /** One line for each thing that a page can do something about. */
  features: {
    webAssembly: CheckedFeature;
    simd: CheckedFeature;
    relaxedSimd: CheckedFeature;
    threads: CheckedFeature;
    storage: CheckedFeature;
    persistence: CheckedFeature;
    storageSpace: CheckedFeature;
    locks: CheckedFeature;
  };
  /** The build that load() would take: 'simd', 'relaxed', 'simd-threads', 'relaxed-threads'; null: none. */
  build: BuildName | null;
  /** Threads that 'auto' would take. */
  threads: number;
}

export type BuildName = 'simd' | 'relaxed' | 'simd-threads' | 'relaxed-threads';

export interface CheckedFeature {
  available: boolean;
  /** A sentence for a person: what it means that it is there, or why it is not and what can be done. */
  reason: string;
}

/** What Linnet.bench() takes beside how the model is loaded. */
export type BenchOptions = Pick<LoadOptions, 'memory' | 'threads' | 'kv' | 'kernels' | 'assets' | 'signal'> & {
  /** Lengths of the prompt, in tokens; 0: nothing before what is decoded. Default: 32, 128, 512 and 2048, as far as the context
   *  holds them. */
  prompts?: number[];
  /** Tokens that are decoded after each of them. Default 32; 0: none. */
  decode?: number;
  /** Default: 5, or 3 where they take more than a minute. */
  rounds?: number;
  /** 'start': the model is opened, twice; 'measure': the rounds. `done`: 0 to 1. */
  onProgress?: (progress: { phase: 'start' | 'measure'; done: number }) => void;
};

/** One length of a benchmark. Rates are medians of the rounds; 0: not measured, or does not bound. */
export interface BenchRow {
  after: number;
  tokens: number;
  tokens_per_second: number;
  least: number;
  most: number;
  rounds: number[];
  read_ceilings: number[];
  dot_ceilings: number[];
  bytes_per_token: number;
  bytes_per_second: number;
  macs_per_token: number;
  macs_per_second: number;
  memory_bound_tokens_per_second: number;
  dot_bound_tokens_per_second: number;
  storage_bound_tokens_per_second: number;
  bound: 'memory' | 'dots' | 'storage';
  share_of_bound: number;
}

/** What `linnet bench --json` prints, under the same names: tools/bench/README.md explains them. */
export interface BenchReport {
  model: string;
  machine: { place: string; processor: string; cores: number; huge_pages: string; huge_page_bytes: number };
  threads: number;
  kernels: string;
  rounds: number;
  prefill: BenchRow[];
  decode: BenchRow[];
  prefill_tokens_per_second: number;
  decode_tokens_per_second: number;
  read_ceiling_bytes_per_second: number;
  read_ceiling_most_bytes_per_second: number;
  read_ceiling_of: 'weights' | 'buffer';
  read_ceiling_bytes: number;
  dot_ceiling_macs_per_second: number;
  dot_ceiling_one_token_macs_per_second: number;
  weight_bytes_per_token: number;
  weight_bytes_per_second: number;
  share_of_read_ceiling: number;
  streamed_bytes_per_token: number;
  storage_bytes_per_second: number;
  past_cache: boolean;
  storage_bound_tokens_per_second: number;
  share_of_storage_bound: number;
  load: {
    cold_first_token_seconds: number;
    cached_first_token_seconds: number;
    file_bytes: number;
    storage_bytes_per_second: number;
  };
  load_seconds: number;
  arena_bytes: number;
  peak_bytes: number;
}

export interface BenchResult {
  report: BenchReport;
  /** A picture of it: the text of an SVG file. */
  plot: string;
}

export interface LinnetStatic {
  load(source: ModelSource, options?: LoadOptions): Promise<Model>;
  /** What load() would take with these options, without loading: from the file's beginning, which is fetched where the model is
   *  not stored. A ceiling that is too low is refused with the lowest that would do. */
  plan(source: ModelSource, options?: PlanOptions): Promise<Plan>;
  /** How fast a model runs here, beside what this machine can read and multiply at most. Opens it in a worker of its own, takes the
   *  memory of the model and up to 260 MB more, and computes for some ten seconds to some minutes. */
  bench(source: ModelSource, options?: BenchOptions): Promise<BenchResult>;
  check(): Promise<Check>;
  readonly models: Models;
  readonly version: string;
}

export type { LinnetError };
