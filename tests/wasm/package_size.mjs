// What a page loads of the package, gzipped: the entry, the worker and each of the builds, with all that they import. The converter
// is loaded only for a GGUF file, and weighed by itself. node package_size.mjs wasm/package/dist
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';

const MOST = 300_000;
const dist = resolve(process.argv[2]);
const BUILDS = ['simd', 'relaxed', 'simd-threads', 'relaxed-threads'];

const sizes = new Map();
function gzipped(file) {
  if (!sizes.has(file)) sizes.set(file, gzipSync(readFileSync(file), { level: 9 }).length);
  return sizes.get(file);
}

/** The file and what it imports by itself, not what it loads later. */
function withImports(file, into = new Set()) {
  if (into.has(file)) return into;
  into.add(file);
  for (const [, name] of readFileSync(file, 'utf8').matchAll(/(?:\bfrom|\bimport)\s*["'](\.[^"']+)["']/g)) {
    withImports(join(dirname(file), name), into);
  }
  return into;
}

const entry = ['index.js', 'worker.js'].map((name) => join(dist, name));
for (const file of entry) if (!existsSync(file)) throw new Error(`${file} is missing: is the package built?`);
let bad = false;
for (const build of BUILDS) {
  const files = new Set();
  for (const file of entry) withImports(file, files);
  withImports(join(dist, `wasm/linnet-${build}.mjs`), files);
  files.add(join(dist, `wasm/linnet-${build}.wasm`));
  const total = [...files].reduce((sum, file) => sum + gzipped(file), 0);
  console.log(
    `${build}: ${total} bytes gzipped (${[...files].map((file) => `${relative(dist, file)} ${gzipped(file)}`).join(', ')})`,
  );
  bad ||= total >= MOST;
}
const converter = ['mjs', 'wasm'].map((kind) => join(dist, `wasm/linnet-convert.${kind}`));
console.log(`converter: ${converter.reduce((sum, file) => sum + gzipped(file), 0)} bytes gzipped, only for GGUF`);
if (bad) {
  console.log(`That is not under ${MOST} bytes.`);
  process.exit(1);
}
