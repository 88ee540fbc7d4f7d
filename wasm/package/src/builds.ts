// Which of the four builds this browser runs, and how many threads: decided here and nowhere else.
import { LinnetError } from './errors.js';
import type { BuildName, CheckedFeature } from './types.js';

/** Threads of the module at most, the worker's own among them (platform/wasm/thread_pool.h). */
export const MOST_THREADS = 16;
const MOST_AUTOMATIC_THREADS = 8;

const HEADER = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];

// (module (func (result i32) i32.const 0 i8x16.splat i8x16.popcnt i32x4.extract_lane 0))
const SIMD_MODULE = new Uint8Array([
  ...HEADER,
  ...[0x01, 0x05, 0x01, 0x60, 0x00, 0x01, 0x7f], // type: () -> i32
  ...[0x03, 0x02, 0x01, 0x00], // function 0 of type 0
  ...[0x0a, 0x0d, 0x01, 0x0b, 0x00, 0x41, 0x00, 0xfd, 0x0f, 0xfd, 0x62, 0xfd, 0x1b, 0x00, 0x0b],
]);

// (module (func (export "d") (param i32 i32 i32) (result i32)
//   (i32x4.extract_lane 0 (i32x4.relaxed_dot_i8x16_i7x16_add_s
//     (i32x4.splat (local.get 0)) (i32x4.splat (local.get 1)) (i32x4.splat (local.get 2))))))
const RELAXED_MODULE = new Uint8Array([
  ...HEADER,
  ...[0x01, 0x08, 0x01, 0x60, 0x03, 0x7f, 0x7f, 0x7f, 0x01, 0x7f],
  ...[0x03, 0x02, 0x01, 0x00],
  ...[0x07, 0x05, 0x01, 0x01, 0x64, 0x00, 0x00], // export "d"
  ...[0x0a, 0x16, 0x01, 0x14, 0x00, 0x20, 0x00, 0xfd, 0x11, 0x20, 0x01, 0xfd, 0x11, 0x20, 0x02, 0xfd, 0x11],
  ...[0xfd, 0x93, 0x02, 0xfd, 0x1b, 0x00, 0x0b],
]);

function validates(module: Uint8Array<ArrayBuffer>): boolean {
  try {
    return typeof WebAssembly === 'object' && WebAssembly.validate(module);
  } catch {
    return false;
  }
}

/** Whether the relaxed dot product gives what the kernels count on: engines have had it wrong, and a wrong one is silent. */
function relaxedDotIsRight(): boolean {
  try {
    const instance = new WebAssembly.Instance(new WebAssembly.Module(RELAXED_MODULE));
    const dot = instance.exports['d'] as (a: number, b: number, c: number) => number;
    const word = (bytes: number[]): number => bytes.reduce((sum, byte, i) => sum | ((byte & 255) << (8 * i)), 0);
    const activations = [
      [-128, -128, -128, -128],
      [127, 127, 127, 127],
      [-1, 2, -3, 4],
      [100, -100, 57, -128],
    ];
    const nibbles = [
      [0, 1, 2, 3],
      [15, 15, 15, 15],
      [8, 7, 0, 15],
      [127, 127, 127, 127],
    ];
    return activations.every((a) =>
      nibbles.every((b) => {
        const expected = a.reduce((sum, value, i) => sum + value * (b[i] as number), 1000);
        return dot(word(a), word(b), 1000) === expected;
      }),
    );
  } catch {
    return false;
  }
}

export interface Features {
  webAssembly: CheckedFeature;
  simd: CheckedFeature;
  relaxedSimd: CheckedFeature;
  threads: CheckedFeature;
}

export const there = (reason: string): CheckedFeature => ({ available: true, reason });
export const missing = (reason: string): CheckedFeature => ({ available: false, reason });

/** `'wasm-unsafe-eval'` missing from a page's CSP shows only when something is compiled. */
function compiles(): boolean {
  try {
    return new WebAssembly.Module(new Uint8Array(HEADER)) instanceof WebAssembly.Module;
  } catch {
    return false;
  }
}

function webAssembly(): CheckedFeature {
  if (typeof WebAssembly !== 'object') {
    return missing('This browser has no WebAssembly, or it is switched off (as in a lockdown mode). Please use another one.');
  }
  if (!compiles()) {
    return missing("The page's Content-Security-Policy forbids WebAssembly: script-src must have 'wasm-unsafe-eval'.");
  }
  return there('WebAssembly runs here.');
}

function threads(): CheckedFeature {
  if (!globalThis.isSecureContext) {
    return missing('This page is not a secure context: serve it by https, or from localhost, to have more than one thread.');
  }
  if (!globalThis.crossOriginIsolated || typeof SharedArrayBuffer === 'undefined') {
    return missing(
      'The page is not cross-origin isolated, so there is one thread. The server must send the headers ' +
        'Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp.',
    );
  }
  return there(`The page is cross-origin isolated; this device has ${cores()} cores.`);
}

const cores = (): number => Math.max(1, globalThis.navigator?.hardwareConcurrency ?? 1);

let found: Features | undefined;

export function features(): Features {
  if (found !== undefined) return found;
  const runs = webAssembly();
  const simd = runs.available && validates(SIMD_MODULE);
  const relaxed = simd && validates(RELAXED_MODULE);
  found = {
    webAssembly: runs,
    simd: simd
      ? there('WebAssembly has 128-bit vectors here.')
      : missing('This browser has no WebAssembly SIMD, which Linnet needs: Chrome 91, Firefox 89 and Safari 16.4 have it.'),
    relaxedSimd: !relaxed
      ? missing('This browser has no relaxed SIMD: the slower kernels are used. Chrome 114, Firefox 145 and newer have it.')
      : relaxedDotIsRight()
        ? there('Relaxed SIMD is there: the fastest kernels can be used.')
        : missing("This browser's relaxed SIMD computes dot products wrongly, so it is not used. An update may help."),
    threads: threads(),
  };
  return found;
}

export interface BuildChoice {
  build: BuildName;
  threads: number;
}

/** The build for so many threads. Throws a LinnetError where nothing runs here. */
export function chooseBuild(wanted: 'auto' | number): BuildChoice {
  const has = features();
  if (!has.webAssembly.available) throw new LinnetError('unsupported', has.webAssembly.reason);
  if (!has.simd.available) throw new LinnetError('unsupported', has.simd.reason);
  let count = 1;
  if (wanted === 'auto') {
    if (has.threads.available) count = Math.min(cores(), MOST_AUTOMATIC_THREADS);
  } else {
    count = wanted;
    if (count > 1 && !has.threads.available) {
      throw new LinnetError('unsupported', `${count} threads are not possible here. ${has.threads.reason}`);
    }
  }
  const family = has.relaxedSimd.available ? 'relaxed' : 'simd';
  return { build: count > 1 ? `${family}-threads` : family, threads: count };
}
