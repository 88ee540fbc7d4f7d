// Measures llama.cpp on a GGUF file: node llama_cpp.mjs FILE.gguf [--prompt 128] [--decode 64] [--threads 1] [--rounds 3]
// Prints one JSON object. llama.cpp comes prebuilt from npm (node-llama-cpp); it picks the variant for this processor itself.
//
// A token that is decoded here crosses from JavaScript into C++ and back, with greedy sampling: some 0.1 ms of a token's time.
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { performance } from 'node:perf_hooks';
import { getLlama, LlamaLogLevel } from 'node-llama-cpp';

function readArguments() {
  const settings = { prompt: 128, decode: 64, threads: 1, rounds: 3 };
  let file;
  const given = process.argv.slice(2);
  while (given.length > 0) {
    const word = given.shift();
    const name = word.replace(/^--/, '');
    if (!word.startsWith('--')) file = word;
    else if (name in settings && /^[1-9][0-9]*$/.test(given[0] ?? '')) settings[name] = Number(given.shift());
    else
      throw new Error(
        `Not understood: ${word}. Usage: llama_cpp.mjs FILE.gguf [--prompt N] [--decode N] [--threads N] [--rounds N]`,
      );
  }
  if (file === undefined) throw new Error('Which GGUF file?');
  return { file, ...settings };
}

// Which of llama.cpp's processor variants this process has loaded.
function loadedVariant() {
  const library = readFileSync('/proc/self/maps', 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/).pop() ?? '')
    .find((path) => basename(path).startsWith('libggml-cpu-'));
  return library === undefined ? 'unknown' : basename(library).replace(/^libggml-cpu-|\.so$/g, '');
}

async function measure({ file, prompt, decode, threads, rounds }) {
  const llama = await getLlama({
    gpu: false,
    build: 'never',
    skipDownload: true,
    maxThreads: threads,
    logLevel: LlamaLogLevel.error,
  });
  const model = await llama.loadModel({ modelPath: file, gpuLayers: 0 });
  const context = await model.createContext({
    contextSize: prompt + decode + 16,
    batchSize: Math.max(prompt, 1),
    threads: { ideal: threads, min: threads },
  });
  const sequence = context.getSequence();
  // Any tokens will do: what is computed does not depend on which they are.
  const tokens = Array.from({ length: prompt }, (_, i) => 1000 + ((i * 7919) % 20000));
  const results = [];
  for (let round = 0; round <= rounds; ++round) {
    // round 0 warms up
    await sequence.clearHistory();
    let start = performance.now();
    await sequence.evaluateWithoutGeneratingNewTokens(tokens);
    const prefill = prompt / ((performance.now() - start) / 1000);
    // The first token evaluates what it is given, and so on: `decode` evaluations between the two readings of the clock.
    const evaluation = sequence.evaluate([tokens[0]], { temperature: 0, yieldEogToken: true });
    await evaluation.next();
    start = performance.now();
    let count = 0;
    while (count < decode && !(await evaluation.next()).done) ++count;
    const rate = count / ((performance.now() - start) / 1000);
    await evaluation.return();
    if (round > 0) results.push({ prefill, decode: rate, decoded: count });
  }
  const median = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];
  const report = {
    runtime: 'llama.cpp',
    package: 'node-llama-cpp 3.22.1',
    llama_cpp: llama.llamaCppRelease.release,
    variant: loadedVariant(),
    file: basename(file),
    threads: context.currentThreads,
    prompt,
    decode,
    prefill_tokens_per_second: median(results.map((result) => result.prefill)),
    decode_tokens_per_second: median(results.map((result) => result.decode)),
    decoded: Math.min(...results.map((result) => result.decoded)),
    rounds,
  };
  console.log(JSON.stringify(report));
  await context.dispose();
  await model.dispose();
  await llama.dispose();
}

try {
  await measure(readArguments());
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
