// The models of the tests, made by the native command into build/browser/models and kept there, and that command itself.
import { execFile, execFileSync } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');
const folder = join(root, 'build/browser/models');

/** The native command: $LINNET, else the newest build of this checkout. */
export function command() {
  if (process.env.LINNET) return process.env.LINNET;
  const found = ['native', 'gcc']
    .map((preset) => join(root, 'build', preset, 'linnet'))
    .filter((file) => {
      try {
        accessSync(file, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    })
    .sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs)[0];
  if (!found) throw new Error('There is no linnet command. Please run: cmake --preset native && cmake --build build/native');
  return found;
}

/** Runs the native command and gives its standard output. */
export function linnet(...args) {
  return new Promise((done, failed) => {
    execFile(command(), args, { encoding: 'utf8', maxBuffer: 1 << 28 }, (error, stdout, stderr) => {
      if (error) failed(new Error(`linnet ${args.join(' ')}: ${stderr || error.message}`));
      else done(stdout);
    });
  });
}

/** SHA-256 of the logits of these tokens, as the terminal computes it. */
export async function nativeLogitsHash(model, tokens, ...options) {
  const output = await linnet('logits', model, '--tokens', tokens.join(','), '--hash', ...options);
  return /[0-9a-f]{64}/.exec(output)[0];
}

/** Debian's own Python, which has Debian's numpy; another one may stand before it in the PATH. */
const python = existsSync('/usr/bin/python3') ? '/usr/bin/python3' : 'python3';

/** The file `name`, made by `make` where it is missing or older than what it is made from. */
function made(name, from, make) {
  const file = join(folder, name);
  if (existsSync(file) && statSync(file).mtimeMs > statSync(from).mtimeMs) return file;
  mkdirSync(folder, { recursive: true });
  // Under another name until it is whole: a run that is stopped leaves nothing that looks like a model.
  const part = join(folder, `part-${process.pid}-${name}`);
  make(part);
  renameSync(part, file);
  return file;
}
const run = (program, ...args) => execFileSync(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
const maker = join(root, 'tests/browser/make_model.py');
const randomGguf = (name, ...shape) => made(name, maker, (file) => run(python, '-B', maker, file, ...shape.map(String)));
const converted = (name, source) => made(name, source, (file) => run(command(), 'convert', source, file));

/** Random weights without a tokenizer, 1.2 MB in 5 chunks: for logits and storage. */
export const tiny = () => made('tiny.linnet', command(), (file) => run(command(), 'synth', 'tiny', file));

/** Random weights that chat nonsense, 11 MB in 45 chunks; and the GGUF file that it is made from. */
export const chatGguf = () => randomGguf('chat.gguf', 256, 24);
export const chat = () => converted('chat.linnet', chatGguf());

/** The same shape with other weights. */
export const other = () => converted('other.linnet', randomGguf('other.gguf', 256, 24, 2));

/** 88 MB, 155 million weights: for memory, and for answers that take a while. */
export const slow = () => converted('slow.linnet', randomGguf('slow.gguf', 1024, 12));

/** 262 MB, 462 million weights: with the scalar kernels one token takes more than 100 ms on any machine. */
export const slowest = () => converted('slowest.linnet', randomGguf('slowest.gguf', 1536, 16));

/** A file of the folder with models that LINNET_MODELS names, null where there is none. */
export function sharedModel(...names) {
  for (const where of [process.env.LINNET_MODELS, join(root, 'models')]) {
    if (where && existsSync(join(where, ...names))) return join(where, ...names);
  }
  return null;
}

/** stories15M in int4, 14 MB: real text. Null where the source is not there. */
export function stories() {
  const source = sharedModel('stories15M', 'stories15M.bin');
  return source && converted('stories15m.linnet', source);
}
