// One build of the module against the native command on the same model file: the bits of the logits and the text must be the
// same. node --import ./as_browser.mjs model.mjs MODULE.mjs THREADS MODEL.linnet LINNET
import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import assert from 'node:assert/strict';
import { openFile, openModule } from './open_file.mjs';

const [, , modulePath, threadsText, modelPath, command] = process.argv;
const threads = Number(threadsText);
const linnet = await openModule(modulePath, { linnetThreads: threads });
let damage = -1; // a byte that reads wrong
const source = openFile(modelPath, (bytes, offset) => {
  if (damage >= offset && damage < offset + bytes.length) bytes[damage - offset] ^= 1;
});
const native = (...argv) => execFileSync(command, argv, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
const good = (answer) => {
  assert.equal(answer.status, 'ok', answer.text);
  return answer;
};

const options = { context: 256, sessions: 2, threads };
for (const kernels of linnet.kernelNames()) {
  // Which kernels they are counts: attention takes room for as many queries as they take at once.
  const plan = good(linnet.makePlan(source, { ...options, kernels }));
  const model = new linnet.Model();
  const opened = good(model.open(source, { ...options, kernels }));
  assert.equal(opened.totalBytes, plan.totalBytes);
  const info = model.info();
  assert.equal(info.kernels, kernels);
  assert.equal(info.threads, threads);
  const session = good(model.openSession()).session;

  // Logits of every token, one at a time, and the last row of all in slices.
  const tokens = Int32Array.from({ length: 40 }, (_, i) => (i * 97 + 3) % info.vocabulary);
  const hash = createHash('sha256');
  for (let n = 1; n <= tokens.length; ++n) {
    const answer = good(model.evaluate(session, tokens.subarray(0, n), 1000));
    assert.equal(answer.evaluated, 1);
    const row = model.logits(session);
    hash.update(Buffer.from(Uint8Array.from(new Uint8Array(row.buffer, row.byteOffset, row.byteLength))));
  }
  const ids = [...tokens].join(',');
  const expected = native('logits', modelPath, '--tokens', ids, '--hash', '--context', '256').trim();
  assert.equal(hash.digest('hex'), expected.split(/\s/)[0], `${kernels}: logits, one token at a time`);
  const lastRow = Float32Array.from(model.logits(session));
  const other = good(model.openSession()).session;
  let slices = 0;
  for (let done = false; !done; ++slices) done = good(model.evaluate(other, tokens, 5)).done;
  assert.deepEqual(Float32Array.from(model.logits(other)), lastRow, `${kernels}: logits in slices`);
  assert.deepEqual(model.tokens(other), tokens);

  // In the smallest slices, with another session's work in between, and with other tokens taken up on the way.
  good(model.rewind(other, 0));
  let pieces = 0;
  let sum = 0;
  let before = 0;
  for (let done = false; !done; ++pieces) {
    const answer = good(model.evaluate(other, tokens, 0));
    if (pieces === 5) good(model.evaluate(session, Int32Array.from([3, 1]), 1000));
    assert.equal(answer.tokensTotal, tokens.length);
    assert.ok(answer.tokensDone >= before || pieces === 6);
    before = answer.tokensDone;
    sum += answer.evaluated;
    done = answer.done;
  }
  assert.ok(pieces > 9 && before === tokens.length && sum === tokens.length);
  assert.deepEqual(Float32Array.from(model.logits(other)), lastRow, `${kernels}: logits in the smallest slices`);
  for (let done = false; !done;) done = good(model.evaluate(session, tokens, 50)).done;
  good(model.rewind(other, 0));
  const astray = Int32Array.from(tokens, (token, i) => (i < 30 ? token : 5));
  for (let i = 0; i < 11; ++i) good(model.evaluate(other, astray, 0));
  for (let done = false; !done;) done = good(model.evaluate(other, tokens, 0)).done;
  assert.deepEqual(Float32Array.from(model.logits(other)), lastRow, `${kernels}: after a change of mind`);
  assert.equal(good(model.evaluate(other, tokens, 0)).done, true, 'nothing is left to do');

  // Every row at once, in slices.
  good(model.rewind(other, 0));
  const rows = createHash('sha256');
  for (let from = 0; from < tokens.length;) {
    const answer = good(model.logitRows(other, tokens, from, 7));
    assert.equal(answer.rows.length, answer.evaluated * info.vocabulary);
    rows.update(Buffer.from(answer.rows.buffer));
    from += answer.evaluated;
    assert.equal(answer.done, from === tokens.length);
  }
  assert.equal(rows.digest('hex'), expected.split(/\s/)[0], `${kernels}: all rows of logits`);

  // Saved, restored, copied: the same bits.
  const parts = [];
  good(
    model.saveSession(session, {
      write: (bytes) => {
        parts.push(Uint8Array.from(bytes));
        return true;
      },
    }),
  );
  const snapshot = Buffer.concat(parts);
  assert.equal(snapshot.length, model.snapshotBytes(session));
  const stored = (bytes) => ({
    size: bytes.length,
    read(offset, into) {
      into.set(bytes.subarray(offset, offset + into.length));
      return into.length;
    },
  });
  const next = Int32Array.from([...tokens, 9]);
  for (let done = false; !done;) done = good(model.evaluate(session, next, 50)).done;
  const nextRow = Float32Array.from(model.logits(session));
  good(model.restoreSession(other, stored(snapshot)));
  assert.deepEqual(Float32Array.from(model.logits(other)), lastRow, `${kernels}: restored`);
  for (let done = false; !done;) done = good(model.evaluate(other, next, 0)).done;
  assert.deepEqual(Float32Array.from(model.logits(other)), nextRow, `${kernels}: after restoring`);
  const wrong = Buffer.from(snapshot);
  wrong[wrong.length >> 1] ^= 1;
  assert.equal(model.restoreSession(other, stored(wrong)).status, 'bad file');
  assert.equal(model.restoreSession(other, stored(snapshot.subarray(0, 100))).status, 'bad file');
  assert.equal(model.restoreSession(other, { size: snapshot.length, read: () => 0 }).status, 'input/output');
  assert.equal(model.saveSession(session, { write: () => false }).status, 'input/output');
  good(model.copySession(other, session));
  assert.deepEqual(Float32Array.from(model.logits(other)), nextRow, `${kernels}: copied`);
  for (let done = false; !done;) done = good(model.evaluate(session, tokens, 50)).done;

  // A stop: the evaluation ends at once, and the session goes on afterwards.
  const memory = new Int32Array(linnet.wasmMemory.buffer);
  Atomics.store(memory, model.stopAddress() / 4, 1);
  good(model.rewind(other, 0));
  assert.equal(model.evaluate(other, tokens, 1000).status, 'cancelled');
  model.clearStop();
  for (let done = false; !done;) done = good(model.evaluate(other, tokens, 50)).done;
  assert.deepEqual(Float32Array.from(model.logits(other)), lastRow, `${kernels}: after a stop`);
  model.closeSession(other);

  if (info.hasTokenizer) {
    const prompt = 'Once upon a time, in a';
    const promptTokens = good(model.tokenize(prompt, 0)).tokens;
    for (let done = false; !done;) done = good(model.evaluate(session, promptTokens, 50)).done;
    let paused = 0;
    const generate = (extra, slice) => {
      good(model.begin(session, { temperature: 0, maxTokens: 48, ...extra }));
      let text = '';
      for (;;) {
        const step = good(slice === undefined ? model.step(session) : model.step(session, slice));
        if (step.paused) {
          ++paused;
          assert.equal(step.piece, '');
          continue;
        }
        text += step.piece;
        if (step.finish !== undefined) return { text, finish: step.finish };
      }
    };
    const ours = generate({});
    const theirs = JSON.parse(
      native('run', modelPath, '--prompt', prompt, '-n', '48', '--temperature', '0', '--json', '--context', '256'),
    );
    assert.equal(ours.text, theirs.text, `${kernels}: the text`);
    for (let done = false; !done;) done = good(model.evaluate(session, promptTokens, 50)).done;
    assert.equal(generate({}, 0).text, ours.text, `${kernels}: the text in slices`);
    assert.ok(paused > 80);
    assert.equal(paused % (8 * info.layers), 0, 'after each of a layer’s eight steps');
    // A stop string: the text ends before it, and nothing of it is shown.
    const word = ours.text.slice(4, 7);
    for (let done = false; !done;) done = good(model.evaluate(session, promptTokens, 50)).done;
    const stopped = generate({ stop: [word] });
    assert.equal(stopped.finish, 'stop');
    assert.equal(stopped.text, ours.text.slice(0, ours.text.indexOf(word)));
    assert.equal(good(model.detokenize(promptTokens, 0)).piece.trim(), prompt);
  }
  assert.equal(model.evaluate(99, tokens, 10).status, 'bad argument');
  assert.equal(model.step(99).status, 'bad argument');
  model.delete();
  console.log(`${modulePath} ${kernels}, ${threads} thread(s): ${expected.slice(0, 16)}…, ${slices} slices`);
}

// What cannot be: a sentence, never an exception.
const model = new linnet.Model();
assert.equal(model.open(source, { ...options, memory: 1000 }).status, 'does not fit');
damage = source.size - 200_000;
const broken = new linnet.Model().open(source, options);
assert.equal(broken.status, 'bad file');
assert.ok(broken.text.length > 20);
damage = -1;
assert.equal(new linnet.Model().open({ size: source.size, read: () => 0 }, options).status, 'input/output');
process.exit(0);
