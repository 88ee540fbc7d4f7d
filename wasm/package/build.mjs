// Builds dist/: index.js, linnet-chat.js and worker.js (one file each), their types, and the wasm modules of build/wasm-*/ under
// the names that they are served by. Weighs what a page loads, and fails where that is too much.
//
// node build.mjs [--wasm FOLDER]: FOLDER has wasm-simd/, wasm-relaxed/, …; default: build/ of the checkout.
import { build } from 'esbuild';
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const MOST_GZIPPED = 300_000;
const here = dirname(fileURLToPath(import.meta.url));
const dist = join(here, 'dist');
const wasmAt = process.argv.indexOf('--wasm');
const builds = wasmAt > 0 ? resolve(process.argv[wasmAt + 1]) : join(here, '../../build');
const { version } = JSON.parse(readFileSync(join(here, 'package.json'), 'utf8'));

function fail(sentence) {
  console.error(`build.mjs: ${sentence}`);
  process.exit(1);
}

rmSync(dist, { recursive: true, force: true });
mkdirSync(join(dist, 'wasm'), { recursive: true });

// linnet-chat.js takes the model from index.js, so that a page with both has one.
const external = {
  name: 'index',
  setup: (b) => b.onResolve({ filter: /^\.\.\/index\.js$/ }, () => ({ path: './index.js', external: true })),
};
const common = {
  absWorkingDir: here,
  outdir: dist,
  bundle: true,
  format: 'esm',
  target: 'es2022',
  legalComments: 'none',
  charset: 'utf8',
  define: { LINNET_VERSION: JSON.stringify(version) },
  logLevel: 'warning',
};
await build({ ...common, entryPoints: { index: 'src/index.ts' } });
await build({ ...common, entryPoints: { 'linnet-chat': 'src/element/linnet-chat.ts' }, plugins: [external] });
// Not minified: that takes the comments away by which bundlers leave the import of the glue alone.
await build({ ...common, entryPoints: { worker: 'src/worker/worker.ts' } });
execFileSync(process.execPath, [join(here, 'node_modules/typescript/bin/tsc'), '-p', here], { stdio: 'inherit' });

// Types of what is exported, and of what those name; not of the inside.
function typesFrom(file, found) {
  if (found.has(file)) return found;
  found.add(file);
  for (const [, name] of readFileSync(file, 'utf8').matchAll(/(?:from |import\()['"](\.[^'"]+)\.js['"]/g)) {
    typesFrom(join(dirname(file), `${name}.d.ts`), found);
  }
  return found;
}
const exported = new Set();
for (const name of ['index', 'element/linnet-chat']) typesFrom(join(dist, `${name}.d.ts`), exported);
for (const entry of readdirSync(dist, { recursive: true, withFileTypes: true })) {
  const path = join(entry.parentPath, entry.name);
  if (entry.isFile() && path.endsWith('.d.ts') && !exported.has(path)) rmSync(path);
}
for (const entry of readdirSync(dist, { withFileTypes: true })) {
  const folder = join(dist, entry.name);
  if (
    entry.isDirectory() &&
    entry.name !== 'wasm' &&
    readdirSync(folder, { recursive: true, withFileTypes: true }).every((each) => !each.isFile())
  ) {
    rmSync(folder, { recursive: true });
  }
}

// The wasm modules, under the names that index.js asks for. Their glue does not know its own name.
const modules = [
  ...['simd', 'relaxed', 'simd-threads', 'relaxed-threads'].map((name) => [name, `wasm-${name}/linnet_module`]),
  ['convert', 'wasm-simd/linnet_convert'], // one for all: it computes nothing that a person waits for
];
const weights = [];
const gzipped = (path) => gzipSync(readFileSync(path), { level: 9 }).length;
for (const [name, from] of modules) {
  for (const suffix of ['.mjs', '.wasm']) {
    const file = join(builds, from + suffix);
    if (!existsSync(file)) fail(`${file} is missing. Please run: wasm/build.sh`);
    cpSync(file, join(dist, 'wasm', `linnet-${name}${suffix}`));
  }
  if (name === 'convert') continue;
  const files = ['index.js', 'worker.js', `wasm/linnet-${name}.mjs`, `wasm/linnet-${name}.wasm`];
  weights.push([name, files.reduce((sum, file) => sum + gzipped(join(dist, file)), 0)]);
}
for (const [name, bytes] of weights) {
  console.log(`${name}: ${bytes} bytes gzipped (wasm, glue, worker, index)`);
  if (bytes >= MOST_GZIPPED) fail(`${name} is larger than ${MOST_GZIPPED} bytes gzipped.`);
}
