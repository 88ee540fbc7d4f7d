// Loads a wasm module by the addresses that the page found: the glue by import, the wasm compiled while it arrives.
import { LinnetError } from '../errors.js';
import type { CreateModule, LinnetModule, ModuleArguments } from './module.js';

async function compile(address: string): Promise<WebAssembly.Module> {
  const response = await fetch(address);
  if (!response.ok) {
    throw new LinnetError(
      'worker',
      `The server has no ${address} (${response.status}): serve the package's folder dist whole.`,
    );
  }
  const copy = response.clone();
  try {
    return await WebAssembly.compileStreaming(response);
  } catch {
    // A server that does not send application/wasm.
    return WebAssembly.compile(await copy.arrayBuffer());
  }
}

export async function startModule<Module>(glue: string, wasm: string, threads: number): Promise<Module> {
  const compiled = compile(wasm);
  const imported = import(/* webpackIgnore: true */ /* @vite-ignore */ glue) as Promise<{ default: CreateModule<Module> }>;
  imported.catch(() => {}); // reported below, after what `compiled` may have to say
  const module = await compiled;
  let create: CreateModule<Module>;
  try {
    create = (await imported).default;
  } catch (cause) {
    throw new LinnetError('worker', `${glue} could not be loaded: serve the package's folder dist whole.`, { cause });
  }
  return instantiate(create, module, { linnetThreads: threads });
}

/** An instance of a module, by its glue. The glue has no way to say that one could not be made; here it is a rejection. */
export function instantiate<Module>(
  create: CreateModule<Module>,
  compiled: WebAssembly.Module,
  options: Omit<ModuleArguments, 'instantiateWasm'> = {},
): Promise<Module> {
  return new Promise<Module>((resolve, reject) => {
    create({
      ...options,
      instantiateWasm: (imports, done) => {
        WebAssembly.instantiate(compiled, imports).then((instance) => done(instance, compiled), reject);
        return {};
      },
    }).then(resolve, reject);
  });
}

/** How much faster, in decoding times in reading a prompt, a table must be than the one before it in the module's order to be
 *  taken: a few milliseconds of measuring, with code that an engine may not have compiled well yet, are wrong by less. Where a
 *  relaxed instruction has to be emulated the difference is larger. */
const OUTDONE = 1.5;

/** Of the tables that could be the best: the first of them, which is the fastest almost everywhere, or one that is clearly faster
 *  here, by a few milliseconds of measuring. Decoding (one token) and reading a prompt (four at a time) count alike. */
export function fastestKernels(module: LinnetModule): string {
  const names = module.kernelNames().filter((name) => name !== 'scalar');
  if (names.length < 2) return names[0] ?? 'scalar';
  const best = new Map<string, number[]>();
  // Rounds of all in turn: an engine compiles better code in between, and a busy machine is busy for all of them.
  for (let round = 0; round < 4; ++round) {
    for (const name of names) {
      const rates = [module.measureKernels(name, 1, 1, 2), module.measureKernels(name, 4, 1, 1)];
      const before = best.get(name) ?? [0, 0];
      best.set(
        name,
        rates.map((rate, i) => Math.max(rate, before[i] as number)),
      );
    }
  }
  const score = (name: string): number => (best.get(name) ?? []).reduce((product, rate) => product * rate, 1);
  return names.reduce((first, second) => (score(second) > OUTDONE * score(first) ? second : first));
}
