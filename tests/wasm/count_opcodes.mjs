// Counts SIMD instructions in a built .wasm and fails where the kernels' are not in it: a compiler flag that went missing leaves
// a module that works, and is ten times slower. node count_opcodes.mjs [--relaxed] FILE.wasm
//
// A small reader of the binary format: it walks each function's instructions, since a byte pattern would also match data.
import { readFileSync } from 'node:fs';

const relaxed = process.argv.includes('--relaxed');
const file = process.argv.slice(2).find((argument) => !argument.startsWith('--'));
const bytes = readFileSync(file);
let at = 8;
const skip = (count) => {
  at += count;
};
function number() {
  let value = 0;
  let shift = 0;
  for (;;) {
    const byte = bytes[at++];
    value += (byte & 127) * 2 ** shift;
    if (byte < 128) return value;
    shift += 7;
  }
}
const counts = new Map();
const count = (name) => counts.set(name, (counts.get(name) ?? 0) + 1);

function memoryArgument() {
  if (number() & 64) number();
  number();
}

// One instruction; false for what this reader does not know.
function instruction() {
  const code = bytes[at++];
  if (code === 0x02 || code === 0x03 || code === 0x04)
    number(); // block, loop, if
  else if (code === 0x0e) {
    for (let n = number() + 1; n > 0; --n) number();
  } // br_table
  else if (code === 0x11) {
    number();
    number();
  } // call_indirect
  else if ([0x0c, 0x0d, 0x10, 0x12, 0x3f, 0x40, 0xd0, 0xd2].includes(code) || (code >= 0x20 && code <= 0x26)) number();
  else if (code === 0x1c) {
    for (let n = number(); n > 0; --n) number();
  } // typed select
  else if (code >= 0x28 && code <= 0x3e) memoryArgument();
  else if (code === 0x41 || code === 0x42)
    number(); // constants
  else if (code === 0x43) skip(4);
  else if (code === 0x44) skip(8);
  else if (code === 0xfc) {
    const sub = number();
    if (sub === 8 || sub === 10 || sub === 12 || sub === 14) {
      number();
      number();
    } else if (sub > 7) number();
  } else if (code === 0xfd) {
    const sub = number();
    if (sub <= 11 || sub === 92 || sub === 93) memoryArgument();
    else if (sub === 12 || sub === 13)
      skip(16); // constant, shuffle
    else if (sub >= 21 && sub <= 34)
      skip(1); // lanes
    else if (sub >= 84 && sub <= 91) {
      memoryArgument();
      skip(1);
    }
    count('simd');
    if (sub === 186) count('i32x4.dot_i16x8_s');
    if (sub === 274) count('i16x8.relaxed_dot_i8x16_i7x16_s');
    if (sub >= 256) count('relaxed');
  } else if (code === 0xfe) {
    const sub = number();
    if (sub === 3) skip(1);
    else memoryArgument();
  } else if (code > 0xc4) return false;
  return true;
}

while (at < bytes.length) {
  const section = bytes[at++];
  const length = number();
  const end = at + length;
  if (section === 10) {
    for (let functions = number(); functions > 0; --functions) {
      const size = number();
      const last = at + size;
      for (let locals = number(); locals > 0; --locals) {
        number();
        skip(1);
      }
      while (at < last) {
        if (!instruction()) throw new Error(`${file}: an instruction at ${at} that this script does not know`);
      }
      if (at !== last) throw new Error(`${file}: the instructions of a function end at ${at}, not at ${last}`);
    }
  }
  at = end;
}

// Eight for each of four tiles of tokens is the least that a kernel which is there can have.
const wanted = relaxed
  ? { 'i32x4.dot_i16x8_s': 100, 'i16x8.relaxed_dot_i8x16_i7x16_s': 60, simd: 4000 }
  : { 'i32x4.dot_i16x8_s': 100, simd: 3000 };
let failed = false;
for (const [name, least] of Object.entries(wanted)) {
  const found = counts.get(name) ?? 0;
  console.log(`${file}: ${found} ${name} (at least ${least})`);
  if (found < least) failed = true;
}
if (!relaxed && (counts.get('relaxed') ?? 0) !== 0) {
  console.log(`${file}: ${counts.get('relaxed')} relaxed instructions, which make it invalid where they are not known`);
  failed = true;
}
process.exit(failed ? 1 : 0);
