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
export async function nativeLogitsHash(model, tokens) {
  const output = await linnet('logits', model, '--tokens', tokens.join(','), '--hash');
  return /[0-9a-f]{64}/.exec(output)[0];
}

function made(name, args) {
  const file = join(folder, name);
  if (existsSync(file)) return file;
  mkdirSync(folder, { recursive: true });
  // Under another name until it is whole: a run that is stopped leaves nothing that looks like a model.
  const part = join(folder, `part-${process.pid}-${name}`);
  execFileSync(command(), args(part), { stdio: ['ignore', 'ignore', 'pipe'] });
  renameSync(part, file);
  return file;
}

/** Random weights, a few hundred kB: for everything but text that makes sense. */
export const tiny = () => made('tiny.linnet', (file) => ['synth', 'tiny', file]);

/** A file of the folder with models that LINNET_MODELS names, null where there is none. */
export function sharedModel(...names) {
  for (const where of [process.env.LINNET_MODELS, join(root, 'models')]) {
    if (where && existsSync(join(where, ...names))) return join(where, ...names);
  }
  return null;
}

/** stories15M in int4, 14 MB: real text. Null where the source is not there. */
export function stories() {
  const source = sharedModel('stories15M');
  return source && made('stories15m.linnet', (file) => ['convert', source, file]);
}

/** A GGUF file of a real model, 1.2 MB. Null where it is not there. */
export const storiesGguf = () => sharedModel('stories260K', 'stories260K-f32.gguf');
