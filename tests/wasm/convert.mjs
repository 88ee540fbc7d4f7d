// The converter's module and the package's front of it, against the native command: the same bytes from every GGUF however its
// bytes arrive, and a sentence from everything that is none.
// node convert.mjs converter.mjs GLUE WASM GGUFS LINNET; prints "passed failed". converter.mjs is the bundled
// wasm/package/src/convert/converter.ts, GGUFS a folder that make_ggufs.py filled.
import { createHash } from 'node:crypto';
import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, fstatSync, mkdtempSync, openSync, readdirSync, readFileSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const [bundle, glue, wasm, folder, command] = process.argv.slice(2);
const urls = { glue: pathToFileURL(resolve(glue)).href, wasm: pathToFileURL(resolve(wasm)).href };

// The glue and the package are made for a browser's worker, whose few names Node does not have. Messages to oneself Node hands
// over in batches, without a turn of the event loop in between; here each gets its own, as in a browser.
globalThis.self = globalThis;
globalThis.location = { href: urls.glue };
globalThis.fetch = async (url) => new Response(readFileSync(new URL(url)));
globalThis.MessageChannel = class {
  port1 = {};
  port2 = { postMessage: (data) => setImmediate(() => this.port1.onmessage({ data })) };
};
let memory;
const instantiate = WebAssembly.instantiate;
WebAssembly.instantiate = async (...given) => {
  const instance = await instantiate(...given);
  memory = Object.values(instance.exports).find((one) => one instanceof WebAssembly.Memory);
  return instance;
};

const { createConverter } = await import(pathToFileURL(resolve(bundle)).href);
const converter = await createConverter(urls);

const temporary = mkdtempSync(join(tmpdir(), 'linnet-convert-'));
process.on('exit', () => rmSync(temporary, { recursive: true, force: true }));

function assert(condition, text) {
  if (!condition) throw new Error(text);
}

const files = (name) =>
  readdirSync(join(folder, name))
    .filter((file) => file.endsWith('.gguf'))
    .sort()
    .map((file) => join(folder, name, file));

const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

/** What the native command makes of a file: the hash of what it wrote, or its sentence. */
function native(path) {
  const out = join(temporary, 'native.linnet');
  const done = spawnSync(command, ['convert', path, out, '--threads', '1'], { encoding: 'utf8' });
  if (done.status === 0) return { hash: sha256(readFileSync(out)) };
  return {
    sentence: done.stderr
      .replace(/^(note: .*\n)*/, '')
      .replace(/^linnet: /, '')
      .trim(),
  };
}

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** A generator of numbers below `limit` that are the same in every run. */
function numbers(seed) {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

// ---- sources --------------------------------------------------------------------------------------------------------------

const here = (bytes) => ({
  size: bytes.length,
  async read(offset, count) {
    return bytes.subarray(offset, offset + count);
  },
});

/** Bytes that are still on their way: they arrive in pieces of up to `largest` bytes, in the order that `order` puts them. */
function arriving(bytes, largest, order) {
  const random = numbers(7);
  const pieces = [];
  for (let at = 0; at < bytes.length;) {
    const count = Math.min(bytes.length - at, 1 + random(largest));
    pieces.push([at, count]);
    at += count;
  }
  order(pieces, random);
  const copy = new Uint8Array(bytes.length).fill(0xaa);
  const there = new Uint8Array(bytes.length);
  let waiting = [];
  (async () => {
    for (const [at, count] of pieces) {
      if (random(4) === 0) await pause(1);
      copy.set(bytes.subarray(at, at + count), at);
      there.fill(1, at, at + count);
      waiting = waiting.filter((one) => !one());
    }
  })();
  return {
    size: bytes.length,
    read: (offset, count) =>
      new Promise((resolve) => {
        const attempt = () => {
          if (there.subarray(offset, offset + count).includes(0)) return false;
          resolve(copy.slice(offset, offset + count));
          return true;
        };
        if (!attempt()) waiting.push(attempt);
      }),
  };
}

/** A file too large to hold. */
function fromFile(path) {
  const file = openSync(path);
  return {
    size: fstatSync(file).size,
    close: () => closeSync(file),
    async read(offset, count) {
      const bytes = new Uint8Array(count);
      return bytes.subarray(0, readSync(file, bytes, 0, count, offset));
    },
  };
}

/** Converts and returns the hash; checks what progress says. */
async function convert(source, name, { signal = new AbortController().signal, write = () => {}, progress = () => {} } = {}) {
  const hash = createHash('sha256');
  let written = 0;
  let before = 0;
  let all = 0;
  const output = {
    write(bytes) {
      write(bytes);
      hash.update(bytes);
      written += bytes.length;
    },
  };
  const report = (done, total) => {
    assert(done >= before && done <= total, `progress went from ${before} to ${done} of ${total}`);
    [before, all] = [done, total];
    progress(done, total);
  };
  const { notes } = await converter.convert(source, name, output, { signal, progress: report });
  assert(written === all && before === all, `${written} bytes were written, progress ended at ${before} of ${all}`);
  return { hash: hash.digest('hex'), notes, written };
}

async function error(promise) {
  try {
    await promise;
  } catch (thrown) {
    return thrown;
  }
  throw new Error('it ended well, and should not have');
}

// ---- tests ----------------------------------------------------------------------------------------------------------------

let passed = 0;
let failed = 0;
async function test(name, run) {
  try {
    await run();
    passed += 1;
  } catch (thrown) {
    failed += 1;
    console.error(`FAILED: ${name}\n  ${thrown?.stack ?? thrown}`);
  }
}

for (const path of files('good')) {
  await test(`the bytes of ${basename(path)}`, async () => {
    const bytes = readFileSync(path);
    const expected = native(path).hash;
    assert(expected !== undefined, `the native command refused it: ${native(path).sentence}`);
    const ways = {
      'at once': here(bytes),
      'late, in small pieces': arriving(bytes, 20000, () => {}),
      'in odd order': arriving(bytes, 60000, (pieces, random) => {
        for (let i = pieces.length - 1; i > 0; i -= 1) {
          const j = random(i + 1);
          [pieces[i], pieces[j]] = [pieces[j], pieces[i]];
        }
      }),
      'from its end': arriving(bytes, 100000, (pieces) => pieces.reverse()),
    };
    for (const [way, source] of Object.entries(ways)) {
      const { hash } = await convert(source, basename(path));
      assert(hash === expected, `read ${way} it gives ${hash}, natively ${expected}`);
    }
  });
}

await test('notes are those of the native command', async () => {
  const path = files('good').find((file) => file.includes('llama-linear'));
  const out = join(temporary, 'notes.linnet');
  const expected = JSON.parse(
    execFileSync(command, ['convert', path, out, '--json'], { encoding: 'utf8', stdio: 'pipe' }),
  ).notes;
  const { notes } = await convert(here(readFileSync(path)), basename(path));
  assert(expected.length > 0, 'the native command has no note');
  assert(JSON.stringify(notes) === JSON.stringify(expected), `${JSON.stringify(notes)} and not ${JSON.stringify(expected)}`);
});

await test('two conversions at a time', async () => {
  const [first, second] = files('good').slice(-2);
  const run = (path) =>
    convert(
      arriving(readFileSync(path), 5000, () => {}),
      basename(path),
    );
  const [a, b] = await Promise.all([run(first), run(second)]);
  assert(a.hash === native(first).hash && b.hash === native(second).hash, 'the bytes differ');
});

// Cut, flipped and set fields: the same bytes as natively, or the same sentence. Only what does not begin as a GGUF gets
// another one, since the command then asks itself what else it may be.
for (const how of ['cut', 'flip', 'field']) {
  await test(`spoiled files (${how})`, async () => {
    const wrong = [];
    let refused = 0;
    for (const path of files('spoiled').filter((file) => file.includes(`-${how}-`))) {
      const bytes = readFileSync(path);
      const expected = native(path);
      if (bytes.subarray(0, 4).toString('latin1') !== 'GGUF') {
        const name = JSON.stringify(basename(path));
        expected.sentence =
          bytes.length < 4
            ? `The GGUF file ${name} ends inside its header, in the magic number at byte 0 of ${bytes.length}: it is truncated or damaged.`
            : `The GGUF file ${name} does not begin with "GGUF".`;
      }
      let got;
      try {
        got = { hash: (await convert(here(bytes), basename(path))).hash };
      } catch (thrown) {
        got = { sentence: thrown.message, code: thrown.code, name: thrown.name };
        refused += 1;
        if (thrown.name !== 'LinnetError' || thrown.cause !== undefined)
          wrong.push(`${path}: ${thrown.stack} ${thrown.cause?.stack}`);
      }
      if (got.hash !== expected.hash || got.sentence !== expected.sentence) {
        wrong.push(`${basename(path)}: ${JSON.stringify(got)}, natively ${JSON.stringify(expected)}`);
      }
    }
    assert(refused > 10, `only ${refused} were refused`);
    assert(wrong.length === 0, `${wrong.length} differ:\n  ${wrong.slice(0, 5).join('\n  ')}`);
  });
}

await test('a split model is refused with what to do', async () => {
  const [path] = files('split');
  const thrown = await error(convert(here(readFileSync(path)), basename(path)));
  assert(thrown.code === 'unsupported' && /linnet convert/.test(thrown.message), `${thrown.code}: ${thrown.message}`);
});

await test('a read that fails', async () => {
  const file = fromFile(join(folder, 'slow.gguf'));
  for (const after of [0, 1, 5]) {
    const broken = new Error('the connection broke');
    let reads = 0;
    const source = {
      size: file.size,
      read: (offset, count) => (reads++ === after ? Promise.reject(broken) : file.read(offset, count)),
    };
    assert((await error(convert(source, 'a.gguf'))) === broken, 'another error');
    assert(reads === after + 1, `it was read ${reads} times`);
  }
  const short = { size: file.size, read: (offset, count) => file.read(offset, count - 1) };
  const thrown = await error(convert(short, 'a.gguf'));
  assert(thrown.code === 'network', `${thrown.code}: ${thrown.message}`);
  file.close();
});

await test('a disk that is full', async () => {
  const full = new Error('full');
  let calls = 0;
  const write = () => {
    calls += 1;
    throw full;
  };
  assert((await error(convert(here(readFileSync(files('good')[0])), 'a.gguf', { write }))) === full, 'another error');
  assert(calls === 1, `it was written ${calls} times`);
});

await test('a progress callback that throws', async () => {
  const wrong = new Error('wrong');
  const progress = () => {
    throw wrong;
  };
  assert((await error(convert(here(readFileSync(files('good')[0])), 'a.gguf', { progress }))) === wrong, 'another error');
});

await test('cancelled before it begins', async () => {
  const thrown = await error(convert(here(new Uint8Array(100)), 'a.gguf', { signal: AbortSignal.abort() }));
  assert(thrown.name === 'AbortError', String(thrown));
});

await test('cancelled while bytes do not come', async () => {
  const stop = new AbortController();
  const never = { size: 1000000, read: () => new Promise(() => {}) };
  const thrown = error(convert(never, 'a.gguf', { signal: stop.signal }));
  await pause(20);
  const begun = performance.now();
  stop.abort();
  assert((await thrown).name === 'AbortError', String(await thrown));
  assert(performance.now() - begun < 200, 'it took long');
});

await test('cancelled while it computes, from the event loop, within 200 ms', async () => {
  const source = fromFile(join(folder, 'slow.gguf'));
  // Ways from the header's reading to the middle of the weights.
  for (const delay of [1, 30, 100, 700]) {
    const stop = new AbortController();
    let begun = 0;
    setTimeout(() => {
      begun = performance.now();
      stop.abort();
    }, delay);
    const thrown = await error(convert(source, 'slow.gguf', { signal: stop.signal }));
    const waited = performance.now() - begun;
    assert(thrown.name === 'AbortError', String(thrown));
    assert(begun !== 0 && waited < 200, `after ${delay} ms it took ${waited} ms to stop`);
  }
  source.close();
});

await test('memory stays small and the event loop has its turns', async () => {
  const path = join(folder, 'slow.gguf');
  const source = fromFile(path);
  // The processor's time, since the machine may be busy with other things.
  const now = () => Number(process.cpuUsage().user + process.cpuUsage().system) / 1000;
  let longest = 0;
  let last = now();
  const timer = setInterval(() => {
    longest = Math.max(longest, now() - last);
    last = now();
  }, 1);
  // What was read is let go of: at nine tenths the collector leaves little of it.
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc');
  const heldNow = () => {
    collect();
    return process.memoryUsage().arrayBuffers / 2 ** 20;
  };
  const heldBefore = heldNow();
  let held;
  const progress = (done, total) => {
    if (held === undefined && done >= 0.9 * total) held = heldNow() - heldBefore;
  };
  const { hash } = await convert(source, 'slow.gguf', { progress });
  clearInterval(timer);
  source.close();
  const mebibytes = memory.buffer.byteLength / 2 ** 20;
  console.error(
    `converting ${basename(path)}: ${mebibytes} MiB of memory, the event loop waited ${longest.toFixed(0)} ms at most`,
  );
  assert(hash === native(path).hash, 'the bytes differ');
  assert(mebibytes < 64, `${mebibytes} MiB of memory`);
  assert(held < 32, `${held} MiB of what was read are held`);
  assert(longest < 200, `the event loop waited ${longest} ms`);
});

await test('a file that wants more memory than there may be', async () => {
  const [head, tail] = ['head', 'tail'].map((end) => readFileSync(join(folder, `vocabulary.${end}`)));
  const token = new Uint8Array(608).fill(0x61);
  new DataView(token.buffer).setBigUint64(0, 600n, true);
  const middle = token.length * 2 ** 20;
  const source = {
    size: head.length + middle + tail.length,
    async read(offset, count) {
      const bytes = new Uint8Array(count);
      for (let done = 0; done < count;) {
        const at = offset + done;
        let from;
        if (at < head.length) from = head.subarray(at);
        else if (at < head.length + middle) from = token.subarray((at - head.length) % token.length);
        else from = tail.subarray(at - head.length - middle);
        const piece = from.subarray(0, count - done);
        bytes.set(piece, done);
        done += piece.length;
      }
      return bytes;
    },
  };
  const thrown = await error(convert(source, 'vocabulary.gguf'));
  assert(thrown.code === 'does-not-fit', `${thrown.code}: ${thrown.stack}\n${thrown.cause?.stack}`);
  // And the next one is not harmed.
  const [path] = files('good');
  assert((await convert(here(readFileSync(path)), basename(path))).hash === native(path).hash, 'the bytes differ');
});

await test('a module that is not there', async () => {
  const fetched = globalThis.fetch;
  globalThis.fetch = async () => new Response('', { status: 404 });
  const missing = await error(createConverter(urls));
  globalThis.fetch = async () => {
    throw new TypeError('fetch failed');
  };
  const offline = await error(createConverter(urls));
  globalThis.fetch = async () => new Response('<html>');
  const page = await error(createConverter(urls));
  globalThis.fetch = fetched;
  const codes = [missing.code, offline.code, page.code].join();
  assert(codes === 'not-found,network,unsupported', `${codes}: ${missing} ${offline} ${page}`);
  const noGlue = await error(createConverter({ ...urls, glue: urls.glue + '.none' }));
  assert(noGlue.code === 'network', String(noGlue));
});

console.log(`${passed} ${failed}`);
process.exitCode = failed === 0 ? 0 : 1;
