// What storage asks of the module (layout, metadata, checksums; hostile bytes), and a glue that was renamed with its pool of
// workers: node --import ./as_browser.mjs storage.mjs MODULE.mjs THREADS MODEL.linnet
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import assert from 'node:assert/strict';

const [, , modulePath, threadsText, modelPath] = process.argv;
const threads = Number(threadsText);
const wasm = readFileSync(modulePath.replace(/\.mjs$/, '.wasm'));
// As a bundler leaves it: another name, and the wasm somewhere else.
const folder = mkdtempSync(join(tmpdir(), 'linnet-'));
process.on('exit', () => rmSync(folder, { recursive: true }));
const renamed = join(folder, 'x-1a2b.mjs');
copyFileSync(resolve(modulePath), renamed);
const url = pathToFileURL(renamed).href;
const { default: create } = await import(url);
const compiled = await WebAssembly.compile(wasm);
const instantiateWasm = (imports, done) => {
  WebAssembly.instantiate(compiled, imports).then((instance) => done(instance, compiled));
  return {};
};
const file = readFileSync(modelPath);
const source = {
  size: file.length,
  read(offset, into) {
    const part = file.subarray(offset, offset + into.length);
    into.set(part);
    return part.length;
  },
};
let linnet;
for (const given of [{ instantiateWasm }, { wasmBinary: wasm, mainScriptUrlOrBlob: url }]) {
  linnet = await create({ linnetThreads: threads, ...given });
  const model = new linnet.Model();
  assert.equal(model.open(source, { context: 64, threads }).status, 'ok');
  assert.equal(model.info().threads, threads);
  const { session } = model.openSession();
  const answer = model.evaluate(session, Int32Array.from([1, 2, 3, 4, 5, 6, 7, 8]), 10000);
  assert.equal(answer.status, 'ok', answer.text);
  model.delete();
}
assert.ok(!readFileSync(modulePath, 'utf8').includes('createObjectURL'), 'a blob: worker');

// The layout is the file's own.
const layout = linnet.fileLayout(new Uint8Array(file.subarray(0, 512)));
assert.equal(layout.status, 'ok', layout.text);
assert.equal(layout.fileBytes, file.length);
assert.equal(layout.checksumsOffset + 4 * layout.chunks + 4, file.length);
assert.equal(layout.chunks, Math.ceil(layout.weightsBytes / layout.chunkBytes));
const header = Uint8Array.from(file.subarray(0, 512));
const metadata = Uint8Array.from(file.subarray(512, layout.weightsOffset));
assert.equal(linnet.metadataProblem(header, metadata), '');
const whole = linnet.fileLayout(file.subarray(0, layout.weightsOffset));
assert.ok(whole.name.length > 0);
for (let chunk = 0; chunk < layout.chunks; ++chunk) {
  const start = layout.weightsOffset + chunk * layout.chunkBytes;
  const end = Math.min(start + layout.chunkBytes, layout.weightsOffset + layout.weightsBytes);
  assert.equal(linnet.crc32c(file.subarray(start, end)) >>> 0, file.readUInt32LE(layout.checksumsOffset + 4 * chunk));
}
assert.equal(linnet.crc32c(Buffer.from('123456789')) >>> 0, 0xe3069283);
assert.equal(linnet.crc32c(new Uint8Array(0)) >>> 0, 0);
const long = Uint8Array.from({ length: 200_001 }, (_, i) => i * 31);
const first = linnet.crc32c(long.subarray(0, 70_000));
assert.equal(linnet.crc32c(long.subarray(70_000), first), linnet.crc32c(long), 'a checksum that goes on');

// Damage: a sentence each time.
for (let byte = 0; byte < 512; byte += 3) {
  const broken = Uint8Array.from(header);
  broken[byte] ^= 1 << (byte % 8);
  const answer = linnet.fileLayout(broken);
  assert.equal(answer.status, 'bad file', `byte ${byte}`);
  assert.ok(answer.text.length > 20);
  assert.notEqual(linnet.metadataProblem(broken, metadata), '');
}
for (const length of [0, 1, 7, 511]) assert.equal(linnet.fileLayout(header.subarray(0, length)).status, 'bad file');
assert.equal(linnet.fileLayout(new Uint8Array(512)).status, 'bad file');
assert.match(linnet.fileLayout(Uint8Array.from(Buffer.from('<!doctype html>'.padEnd(600)))).text, /not a \.linnet file/);
for (const at of [0, metadata.length >> 1, metadata.length - 1]) {
  const broken = Uint8Array.from(metadata);
  broken[at] ^= 4;
  assert.match(linnet.metadataProblem(header, broken), /checksum/);
}
assert.notEqual(linnet.metadataProblem(header, metadata.subarray(1)), '');
assert.notEqual(linnet.metadataProblem(header, new Uint8Array(metadata.length + 1)), '');

const block = new Uint8Array(32 << 20).fill(7);
linnet.crc32c(block);
const start = performance.now();
linnet.crc32c(block);
console.log(`${modulePath}: crc32c ${(block.length / (performance.now() - start) / 1000).toFixed(0)} MB/s`);
process.exit(0);
