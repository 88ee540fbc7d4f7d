// One runtime in a tab, behind two functions: load(runtime, threads) takes the file that was chosen, measure(round, prompt, decode)
// reads a prompt and writes an answer greedily: { prefill, decode } in tokens a second, and how many tokens there were.
const file = () => document.querySelector('#model').files[0];

/** About `tokens` tokens of English that begin differently in each round. */
function text(round, tokens) {
  const words =
    'the old man went down to the river and looked at the boats that came in from the sea with the morning tide'.split(' ');
  const out = [words[(round * 5) % words.length], `and chapter ${round}:`];
  // A token is a word here, as good as always.
  for (let i = 0; i < tokens - 6; ++i) out.push(words[(i * 7 + round * 3) % words.length]);
  return out.join(' ');
}

const runtimes = {
  // The build without relaxed SIMD: the package takes it where a browser does not know that.
  async 'linnet-simd128'(threads) {
    const { validate } = WebAssembly;
    // i32x4.relaxed_dot_i8x16_i7x16_add_s is what it asks for.
    WebAssembly.validate = (module) => !module.join().includes('253,147,2') && validate(module);
    return await this.linnet(threads);
  },

  async linnet(threads) {
    const { Linnet } = await import('/linnet/index.js');
    const model = await Linnet.load(file(), { threads, context: 512 });
    return {
      about: `${model.info.name}, kernels ${model.info.kernels}, ${model.info.threads} thread(s)`,
      async measure(prompt, count) {
        const stream = model.complete(prompt, { maxTokens: count, sampling: { temperature: 0 } });
        const { usage, timings } = await stream.reply;
        return {
          prefill: timings.prefillTokensPerSecond,
          decode: timings.decodeTokensPerSecond,
          promptTokens: usage.promptTokens - usage.cachedTokens,
          decodedTokens: usage.completionTokens,
        };
      },
    };
  },

  async 'wllama-2'(threads) {
    const { Wllama } = await import('/modules/wllama-2/esm/index.js');
    const paths = {
      'single-thread/wllama.wasm': '/modules/wllama-2/esm/single-thread/wllama.wasm',
      'multi-thread/wllama.wasm': '/modules/wllama-2/esm/multi-thread/wllama.wasm',
    };
    const wllama = new Wllama(threads === 1 ? { 'single-thread/wllama.wasm': paths['single-thread/wllama.wasm'] } : paths, {
      suppressNativeLog: true,
    });
    await wllama.loadModel([file()], { n_ctx: 512, n_batch: 512, n_threads: threads });
    return {
      about: `wllama 2.2.1, ${wllama.isMultithread() ? 'multi-thread' : 'single-thread'} build`,
      // Its own steps, one by one: it tells no times.
      async measure(prompt, count) {
        await wllama.kvClear();
        await wllama.samplingInit({ temp: 0, top_k: 1 });
        const tokens = await wllama.tokenize(prompt, true);
        const all = [wllama.getBOS(), ...tokens];
        let start = performance.now();
        await wllama.decode(all, {});
        const prefill = (all.length / (performance.now() - start)) * 1000;
        start = performance.now();
        for (let i = 0; i < count; ++i) {
          const { token } = await wllama.samplingSample();
          await wllama.samplingAccept([token]);
          await wllama.decode([token], {});
        }
        const decode = (count / (performance.now() - start)) * 1000;
        return { prefill, decode, promptTokens: all.length, decodedTokens: count };
      },
    };
  },

  async 'wllama-3'(threads) {
    const { Wllama } = await import('/modules/wllama-3/esm/index.js');
    const wllama = new Wllama({ default: '/modules/wllama-3/esm/wasm/wllama.wasm' }, { suppressNativeLog: true });
    await wllama.loadModel([file()], { n_ctx: 512, n_batch: 512, n_threads: threads, n_gpu_layers: 0, warmup: false });
    return {
      about: `wllama 3.8.1, ${wllama.getNumThreads()} thread(s)`,
      // The times that it gives itself.
      async measure(prompt, count) {
        const { timings } = await wllama.createCompletion({
          prompt,
          max_tokens: count,
          temperature: 0,
          top_k: 1,
          cache_prompt: false,
        });
        return {
          prefill: timings.prompt_per_second,
          decode: timings.predicted_per_second,
          promptTokens: timings.prompt_n,
          decodedTokens: timings.predicted_n,
        };
      },
    };
  },
};

let runtime;
globalThis.load = async (name, threads) => {
  runtime = await runtimes[name](threads);
  await runtime.measure(text(0, 8), 2);
  return runtime.about;
};
globalThis.measure = (round, prompt, decode) => runtime.measure(text(round, prompt), decode);
globalThis.ready = true;
