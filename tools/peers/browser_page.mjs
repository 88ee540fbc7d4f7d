// One runtime in a tab, behind two functions: load(runtime, threads, context, prompt) takes the file that was chosen and warms
// up; measure(prompt, count) reads a prompt, then computes `count` tokens more, each the likeliest: { prefill, decode } in tokens
// a second, and how many tokens there were. A token is what takes a pass over the weights: the first one that is chosen takes
// none beside the prompt's.
const file = () => document.querySelector('#model').files[0];
const WARM_UP_MILLISECONDS = 1500;
const SHORT_MILLISECONDS = 250;
const perSecond = (tokens, milliseconds) => (tokens / milliseconds) * 1000;

const runtimes = {
  // The build without relaxed SIMD: the package takes it where a browser does not know that.
  async 'linnet-simd128'(threads, context) {
    const { validate } = WebAssembly;
    // i32x4.relaxed_dot_i8x16_i7x16_add_s is what it asks for.
    WebAssembly.validate = (module) => !module.join().includes('253,147,2') && validate(module);
    return await this.linnet(threads, context, 'wasm-simd128');
  },

  // Kernels by name: left to itself the package takes those that are faster in a few milliseconds, which chance can decide.
  async linnet(threads, context, kernels = 'wasm-relaxed') {
    const { Linnet } = await import('/linnet/index.js');
    const model = await Linnet.load(file(), { threads, context, kernels });
    return {
      about: `${model.info.name}, kernels ${model.info.kernels}, ${model.info.threads} thread(s)`,
      // By the page's clock, as wllama 2: all but the prompt's passes counts as decoding, with tokenizing, choosing, turning into
      // text and messages between threads.
      async measure(prompt, count) {
        // The beginning of the text is held from the prompt before; a word more makes up for it.
        const text = `${prompt} ${prompt.split(' ').at(-1)}`;
        const start = performance.now();
        const options = { maxTokens: count + 1, sampling: { temperature: 0 }, speculate: false };
        const { usage, timings } = await model.complete(text, options).reply;
        const milliseconds = performance.now() - start;
        return {
          prefill: timings.prefillTokensPerSecond,
          decode: perSecond(timings.passes, milliseconds - timings.prefillMilliseconds),
          promptTokens: usage.promptTokens - usage.cachedTokens,
          decodedTokens: timings.passes,
        };
      },
    };
  },

  async 'wllama-2'(threads, context) {
    const { Wllama } = await import('/modules/wllama-2/esm/index.js');
    const paths = {
      'single-thread/wllama.wasm': '/modules/wllama-2/esm/single-thread/wllama.wasm',
      'multi-thread/wllama.wasm': '/modules/wllama-2/esm/multi-thread/wllama.wasm',
    };
    const wllama = new Wllama(threads === 1 ? { 'single-thread/wllama.wasm': paths['single-thread/wllama.wasm'] } : paths, {
      suppressNativeLog: true,
    });
    await wllama.loadModel([file()], { n_ctx: context, n_batch: context, n_threads: threads });
    return {
      about: `wllama 2.2.1, ${wllama.isMultithread() ? 'multi-thread' : 'single-thread'} build`,
      // The steps of its own completion, one by one, since it tells no times. decodeOnly: without choosing the token.
      async measure(prompt, count) {
        await wllama.kvClear();
        await wllama.samplingInit({ temp: 0, top_k: 1 });
        const tokens = await wllama.tokenize(prompt, true);
        const all = [wllama.getBOS(), ...tokens];
        let start = performance.now();
        await wllama.decode(all, {});
        const prefill = perSecond(all.length, performance.now() - start);
        let inDecode = 0;
        start = performance.now();
        for (let i = 0; i < count; ++i) {
          const { token } = await wllama.samplingSample();
          await wllama.samplingAccept([token]);
          const before = performance.now();
          await wllama.decode([token], {});
          inDecode += performance.now() - before;
        }
        const decode = perSecond(count, performance.now() - start);
        const decodeOnly = perSecond(count, inDecode);
        return { prefill, decode, decodeOnly, promptTokens: all.length, decodedTokens: count };
      },
    };
  },

  async 'wllama-3'(threads, context) {
    const { Wllama } = await import('/modules/wllama-3/esm/index.js');
    const wllama = new Wllama({ default: '/modules/wllama-3/esm/wasm/wllama.wasm' }, { suppressNativeLog: true });
    await wllama.loadModel([file()], { n_ctx: context, n_batch: context, n_threads: threads, n_gpu_layers: 0, warmup: false });
    return {
      about: `wllama 3.8.1, ${wllama.getNumThreads()} thread(s)`,
      // The times that it gives itself; the first token that it chooses comes with the prompt.
      async measure(prompt, count) {
        const { timings } = await wllama.createCompletion({
          prompt,
          max_tokens: count + 1,
          temperature: 0,
          top_k: 1,
          cache_prompt: false,
        });
        return {
          prefill: timings.prompt_per_second,
          decode: timings.predicted_per_second,
          promptTokens: timings.prompt_n,
          decodedTokens: timings.predicted_n - 1,
        };
      },
    };
  },
};

let runtime;
let alone; // milliseconds that a prompt takes
let warmedUp = 10;

/** Reads prompts like this one for so long, without measuring. Each begins with another number: what stands at the beginning as
 *  the time before need not be computed. */
async function warmUp(prompt, milliseconds) {
  const words = prompt.split(' ');
  const start = performance.now();
  do {
    const before = performance.now();
    words[0] = String(++warmedUp);
    await runtime.measure(words.join(' '), 2);
    alone = performance.now() - before;
  } while (performance.now() - start < milliseconds);
}

globalThis.load = async (name, threads, context, prompt) => {
  runtime = await runtimes[name](threads, context);
  // Until the engine has compiled what it finds worth the trouble.
  await warmUp(prompt, WARM_UP_MILLISECONDS);
  return runtime.about;
};
globalThis.measure = async (prompt, count) => {
  // What takes some milliseconds would measure how a tab comes to the front, and its data back into the caches; llama.cpp is
  // warmed up before every measurement too.
  if (alone < SHORT_MILLISECONDS) await warmUp(prompt, SHORT_MILLISECONDS);
  return runtime.measure(prompt, count);
};
globalThis.ready = true;
