// How fast the wasm kernels are: node --import ./as_browser.mjs bench_kernels.mjs MODULE.mjs
//
// One thread; int4, group 32, 2048 columns. From DRAM: 192 MB of weights a round, GB/s as 0.5625 bytes a weight; and 16 tokens
// over 1 MB, GMAC/s.
import { openModule } from './open_file.mjs';

const linnet = await openModule(process.argv[2], { linnetThreads: 1 });
for (const name of linnet.kernelNames()) {
  if (name === 'scalar') continue;
  const decode = linnet.measureKernels(name, 1, 192, 5);
  const cached = linnet.measureKernels(name, 1, 1, 100);
  const prefill = linnet.measureKernels(name, 16, 1, 20);
  console.log(
    `${name}: 1 token ${((decode * 0.5625) / 1000).toFixed(1)} GB/s from DRAM, ` +
      `${((cached * 0.5625) / 1000).toFixed(1)} from the cache; 16 tokens ${(prefill / 1000).toFixed(1)} GMAC/s`,
  );
}
