// Where the package's own files are. Bundlers look for exactly these forms, and emit each file under a name of their choice; so
// every one of them is written out.
import type { Assets } from './protocol.js';
import type { BuildName } from './types.js';

/** A folder of these files, where the person names one. */
export function folderOf(assets: string | URL): URL {
  const folder = new URL(assets, globalThis.document?.baseURI ?? globalThis.location.href);
  if (!folder.pathname.endsWith('/')) folder.pathname += '/';
  return folder;
}

/** Vite's dev server moves index.js into a folder of its own and leaves the other files where they are: in the package. Empty
 *  where that is not so. */
function leftBehind(): URL | undefined {
  const moved = /^(.*\/node_modules\/)\.vite[^/]*\/deps[^/]*\//.exec(import.meta.url);
  return moved === null ? undefined : new URL(`${moved[1]}linnet/dist/`);
}

export function startWorker(folder: URL | undefined): Worker {
  const elsewhere = folder ?? leftBehind();
  if (elsewhere !== undefined) return new Worker(/* @vite-ignore */ new URL('worker.js', elsewhere), { type: 'module' });
  return new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
}

const builds: Record<BuildName, () => { glue: URL; wasm: URL }> = {
  simd: () => ({
    glue: new URL('./wasm/linnet-simd.mjs', import.meta.url),
    wasm: new URL('./wasm/linnet-simd.wasm', import.meta.url),
  }),
  relaxed: () => ({
    glue: new URL('./wasm/linnet-relaxed.mjs', import.meta.url),
    wasm: new URL('./wasm/linnet-relaxed.wasm', import.meta.url),
  }),
  'simd-threads': () => ({
    glue: new URL('./wasm/linnet-simd-threads.mjs', import.meta.url),
    wasm: new URL('./wasm/linnet-simd-threads.wasm', import.meta.url),
  }),
  'relaxed-threads': () => ({
    glue: new URL('./wasm/linnet-relaxed-threads.mjs', import.meta.url),
    wasm: new URL('./wasm/linnet-relaxed-threads.wasm', import.meta.url),
  }),
};

export function assetsOf(build: BuildName, folder: URL | undefined): Assets {
  const elsewhere = folder ?? leftBehind();
  if (elsewhere !== undefined) {
    const at = (name: string): string => new URL(`wasm/${name}`, elsewhere).href;
    return {
      glue: at(`linnet-${build}.mjs`),
      wasm: at(`linnet-${build}.wasm`),
      convertGlue: at('linnet-convert.mjs'),
      convertWasm: at('linnet-convert.wasm'),
    };
  }
  const { glue, wasm } = builds[build]();
  return {
    glue: glue.href,
    wasm: wasm.href,
    convertGlue: new URL('./wasm/linnet-convert.mjs', import.meta.url).href,
    convertWasm: new URL('./wasm/linnet-convert.wasm', import.meta.url).href,
  };
}
