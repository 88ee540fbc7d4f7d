// Options are checked at the edge: a name that does not exist is refused with the nearest one, a value with what it may be.
import { LinnetError } from './errors.js';
import type {
  BenchOptions,
  Bytes,
  LoadOptions,
  Message,
  PlanOptions,
  PromptOptions,
  Sampling,
  SessionOptions,
} from './types.js';
import type { AnswerOptions, LoadRequest } from './protocol.js';
import { MOST_THREADS } from './builds.js';

const refuse = (sentence: string): never => {
  throw new LinnetError('bad-argument', sentence);
};

/** Insertions, deletions, replacements and swaps of neighbours that lead from one word to the other. */
function distance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; ++i) {
    const row = [i];
    const above = rows[i - 1] as number[];
    for (let j = 1; j <= b.length; ++j) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let least = Math.min((above[j] as number) + 1, (row[j - 1] as number) + 1, (above[j - 1] as number) + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        least = Math.min(least, ((rows[i - 2] as number[])[j - 2] as number) + 1);
      }
      row.push(least);
    }
    rows.push(row);
  }
  return (rows[a.length] as number[])[b.length] as number;
}

/** Refuses what is no object, and names that are not among `known`. */
export function checkNames(value: unknown, known: readonly string[], where: string): void {
  if (value === undefined) return;
  if (value === null || typeof value !== 'object' || Array.isArray(value)) refuse(`${where} takes its options as an object.`);
  for (const name of Object.keys(value as object)) {
    if (known.includes(name)) continue;
    const plain = (text: string): string => text.toLowerCase().replaceAll('_', '');
    const near = known
      .map((candidate) => ({ candidate, far: distance(plain(name), plain(candidate)) }))
      .sort((a, b) => a.far - b.far)[0];
    const hint =
      near !== undefined && near.far <= Math.max(2, name.length / 3)
        ? `did you mean '${near.candidate}'?`
        : `there are ${known.map((candidate) => `'${candidate}'`).join(', ')}.`;
    refuse(`${where}: there is no option '${name}': ${hint}`);
  }
}

interface Range {
  least: number;
  most: number;
  whole?: boolean;
  above?: boolean; // `least` itself is not allowed
}

function inRange(value: unknown, name: string, range: Range): number {
  const { least, most, whole = false, above = false } = range;
  const good =
    typeof value === 'number' &&
    value <= most &&
    (above ? value > least : value >= least) &&
    (!whole || Number.isInteger(value));
  if (good) return value;
  const kind = whole ? 'a whole number' : 'a number';
  const shown = typeof value === 'number' ? ` It is ${value}.` : '';
  const bounds = above ? `above ${least} and at most ${most}` : `from ${least} to ${most}`;
  return refuse(`'${name}' must be ${kind} ${bounds}.${shown}`);
}

export const given = <Value>(value: Value | undefined | null): value is Value => value !== undefined && value !== null;

const UNITS: Record<string, number> = {
  '': 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};

/** A number of bytes, or a text such as '2GB' or '1.5 GiB'. */
export function parseBytes(value: Bytes, name: string): number {
  const example = `'${name}' is a number of bytes, or a text such as '2GB', '800 MB' or '1.5GiB'.`;
  if (typeof value === 'number') {
    if (!Number.isFinite(value) || value < 1) refuse(example);
    return Math.floor(value);
  }
  const parts = typeof value === 'string' ? /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(value) : null;
  const unit = UNITS[(parts?.[2] ?? '?').toLowerCase()];
  const bytes = Math.floor(Number(parts?.[1]) * (unit ?? Number.NaN));
  return Number.isFinite(bytes) && bytes >= 1 ? bytes : refuse(example);
}

function checkSignal(signal: unknown): void {
  if (given(signal) && !(signal instanceof AbortSignal)) refuse("'signal' must be an AbortSignal.");
}

function checkFunction(value: unknown, name: string): void {
  if (given(value) && typeof value !== 'function') refuse(`'${name}' must be a function.`);
}

function oneOf<Value extends string>(value: unknown, name: string, values: readonly Value[]): Value {
  if (values.includes(value as Value)) return value as Value;
  return refuse(`'${name}' must be one of ${values.map((each) => `'${each}'`).join(', ')}.`);
}

export const LOAD_OPTIONS = [
  'memory',
  'context',
  'threads',
  'kv',
  'residentSessions',
  'kernels',
  'connections',
  'assets',
  'onProgress',
  'signal',
] as const;

const KV_FORMATS = { int8: 1, f16: 2, f32: 3, int4: 4 } as const;

export const BENCH_OPTIONS = ['memory', 'threads', 'kv', 'kernels', 'assets', 'signal'] as const;

export const PLAN_OPTIONS = ['memory', 'context', 'threads', 'kv', 'residentSessions', 'assets', 'measure', 'signal'] as const;

export type CheckedLoad = Omit<LoadRequest, 'source'> & { threads: 'auto' | number };

export function checkLoad(options: LoadOptions): CheckedLoad {
  checkNames(options, LOAD_OPTIONS, 'Linnet.load');
  checkSignal(options.signal);
  checkFunction(options.onProgress, 'onProgress');
  if (given(options.assets) && typeof options.assets !== 'string' && !(options.assets instanceof URL)) {
    refuse("'assets' must be the address of a folder.");
  }
  const threads = options.threads ?? 'auto';
  if (threads !== 'auto' && typeof threads !== 'number') refuse("'threads' must be 'auto' or a whole number.");
  return {
    memory: given(options.memory) ? parseBytes(options.memory, 'memory') : 0,
    context: given(options.context) ? inRange(options.context, 'context', { least: 1, most: 2 ** 20, whole: true }) : 0,
    kvFormat: KV_FORMATS[oneOf(options.kv ?? 'int8', 'kv', ['int8', 'int4', 'f16', 'f32'])],
    residentSessions: inRange(options.residentSessions ?? 1, 'residentSessions', { least: 1, most: 64, whole: true }),
    kernels: oneOf(options.kernels ?? 'auto', 'kernels', ['auto', 'scalar', 'wasm-simd128', 'wasm-relaxed']),
    connections: inRange(options.connections ?? 4, 'connections', { least: 1, most: 16, whole: true }),
    threads: threads === 'auto' ? threads : inRange(threads, 'threads', { least: 1, most: MOST_THREADS, whole: true }),
  };
}

export function checkPlan(options: PlanOptions): CheckedLoad & { measure: boolean } {
  checkNames(options, PLAN_OPTIONS, 'Linnet.plan');
  const { measure = false, ...rest } = options;
  if (typeof measure !== 'boolean') refuse("'measure' must be true or false.");
  return { ...checkLoad(rest), measure };
}

const LONGEST = 2 ** 20;

export function checkBench(options: BenchOptions): { prompts: number[]; decode: number; rounds: number } {
  const { prompts = [32, 128, 512, 2048], decode = 32, rounds = 0, onProgress, ...rest } = options;
  checkNames(options, [...BENCH_OPTIONS, 'prompts', 'decode', 'rounds', 'onProgress'], 'Linnet.bench');
  checkFunction(onProgress, 'onProgress');
  checkLoad(rest);
  if (!Array.isArray(prompts) || prompts.length === 0) refuse("'prompts' must be a list of numbers of tokens.");
  const lengths = prompts.map((count) => inRange(count, 'prompts', { least: 0, most: LONGEST, whole: true }));
  const checked = {
    prompts: [...new Set(lengths)].sort((a, b) => a - b),
    decode: inRange(decode, 'decode', { least: 0, most: LONGEST, whole: true }),
    rounds: rounds === 0 ? 0 : inRange(rounds, 'rounds', { least: 1, most: 1000, whole: true }),
  };
  if (checked.decode === 0 && checked.prompts.every((count) => count === 0)) {
    refuse("'prompts' and 'decode' are 0: there is nothing to measure.");
  }
  return checked;
}

const SAMPLING_RANGES: Record<keyof Sampling, Range> = {
  temperature: { least: 0, most: 10 },
  topK: { least: 0, most: 2 ** 31 - 1, whole: true },
  topP: { least: 0, most: 1, above: true },
  minP: { least: 0, most: 1 },
  repetitionPenalty: { least: 0, most: 10, above: true },
  repetitionWindow: { least: 0, most: 2 ** 31 - 1, whole: true },
  seed: { least: 0, most: Number.MAX_SAFE_INTEGER, whole: true },
};

/** Only what is given. */
export function checkSampling(sampling: Sampling | undefined, where: string): Sampling {
  const names = Object.keys(SAMPLING_RANGES) as (keyof Sampling)[];
  checkNames(sampling, names, where);
  const checked: Sampling = {};
  for (const name of names) {
    const value = sampling?.[name];
    if (given(value)) checked[name] = inRange(value, name, SAMPLING_RANGES[name]);
  }
  return checked;
}

const MOST_STOPS = 16;
const MOST_STOP_BYTES = 128;

function checkStops(stop: string | string[] | undefined): string[] {
  if (!given(stop)) return [];
  const stops: unknown[] = Array.isArray(stop) ? stop : [stop];
  if (stops.length > MOST_STOPS) refuse(`'stop' has ${stops.length} texts; ${MOST_STOPS} are allowed.`);
  const encoder = new TextEncoder();
  return stops.map((text) => {
    if (typeof text !== 'string' || text === '')
      return refuse("'stop' must be a text, or a list of texts, none of them empty.");
    if (encoder.encode(text).length > MOST_STOP_BYTES) return refuse(`A stop text may have ${MOST_STOP_BYTES} bytes.`);
    return text;
  });
}

function checkSpeculate(speculate: unknown): boolean | null {
  if (!given(speculate) || speculate === 'auto') return null;
  return typeof speculate === 'boolean' ? speculate : refuse("'speculate' must be 'auto', true or false.");
}

/** What is not given is the session's. */
export function checkPrompt(options: PromptOptions, where: string): AnswerOptions {
  checkNames(options, ['signal', 'stop', 'maxTokens', 'sampling', 'speculate', 'onPrefill'], where);
  checkSignal(options.signal);
  checkFunction(options.onPrefill, 'onPrefill');
  return {
    stop: checkStops(options.stop),
    maxTokens: given(options.maxTokens)
      ? inRange(options.maxTokens, 'maxTokens', { least: 1, most: 2 ** 31 - 1, whole: true })
      : 0,
    sampling: checkSampling(options.sampling, 'sampling'),
    speculate: checkSpeculate(options.speculate),
  };
}

export function checkText(text: unknown, where: string): string {
  return typeof text === 'string' ? text : refuse(`${where} takes a text.`);
}

export function checkMessages(messages: unknown, where: string): Message[] {
  if (!Array.isArray(messages)) return refuse(`${where} must be a list of { role, content }.`);
  return messages.map((message: unknown, i) => {
    checkNames(message ?? null, ['role', 'content'], `${where}[${i}]`);
    const { role, content } = message as { role?: unknown; content?: unknown };
    if (typeof content !== 'string') return refuse(`${where}[${i}].content must be a text.`);
    return { role: oneOf(role, `${where}[${i}].role`, ['system', 'user', 'assistant']), content };
  });
}

export interface CheckedSession {
  system: string;
  messages: Message[];
  sampling: Sampling;
}

/** A system message in first place of `messages` is the session's `system`. */
export function checkSession(options: SessionOptions): CheckedSession {
  checkNames(options, ['system', 'messages', 'sampling'], 'model.session');
  const messages = checkMessages(options.messages ?? [], 'messages');
  let system = given(options.system) ? checkText(options.system, "'system'") : '';
  const first = messages[0];
  if (first?.role === 'system') {
    if (system !== '') refuse("'system' is given, and 'messages' begins with a system message: give one of them.");
    system = first.content;
    messages.shift();
  }
  return { system, messages, sampling: checkSampling(options.sampling, 'sampling') };
}

export function checkTokens(tokens: unknown, where: string): Int32Array {
  const list = tokens as ArrayLike<number> | null | undefined;
  if (typeof list !== 'object' || list === null || typeof list.length !== 'number') {
    return refuse(`${where} takes a list of token numbers.`);
  }
  return Int32Array.from(list, (token) => inRange(token, 'tokens', { least: 0, most: 2 ** 31 - 1, whole: true }));
}

export function checkName(name: unknown): string {
  if (typeof name !== 'string' || name.trim() === '') return refuse('A saved conversation needs a name that is not empty.');
  if (name.length > 200) return refuse('The name of a saved conversation may have 200 characters.');
  return name;
}
