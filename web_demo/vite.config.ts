// Builds the page into build/web_demo, for any folder of any static host: every address in it is relative.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { initWasm, Resvg } from '@resvg/resvg-wasm';
import { defineConfig, type Plugin } from 'vite';
import { VitePWA } from 'vite-plugin-pwa';

const here = dirname(fileURLToPath(import.meta.url));
const outDir = resolve(here, process.env['LINNET_PAGE_OUT'] ?? '../build/web_demo');

// What the page may do, told to the browser: its own files, a worker of its own, and models from wherever the person says.
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "style-src 'self'",
  "font-src 'self'",
  "img-src 'self' data:",
  "worker-src 'self'",
  "connect-src 'self' https: http://localhost:* http://127.0.0.1:*",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
].join('; ');

/** The policy stands in the built page only: the development server needs more. */
function strictPolicy(): Plugin {
  return {
    name: 'linnet-policy',
    apply: 'build',
    transformIndexHtml: {
      order: 'post',
      handler: () => [
        {
          tag: 'meta',
          attrs: { 'http-equiv': 'Content-Security-Policy', content: contentSecurityPolicy },
          injectTo: 'head-prepend',
        },
      ],
    },
  };
}

/** The pictures that an installed page needs, drawn from icon.svg. */
function icons(): Plugin {
  return {
    name: 'linnet-icons',
    apply: 'build',
    async generateBundle() {
      const wasm = createRequire(import.meta.url).resolve('@resvg/resvg-wasm/index_bg.wasm');
      await initWasm(readFileSync(wasm)).catch(() => undefined); // it is ready already when the build runs again
      const svg = readFileSync(resolve(here, 'public/icon.svg'), 'utf8');
      for (const [fileName, width] of [
        ['icon-192.png', 192],
        ['icon-512.png', 512],
        ['apple-touch-icon.png', 180],
      ] as const) {
        const source = new Resvg(svg, { fitTo: { mode: 'width', value: width } }).render().asPng();
        this.emitFile({ type: 'asset', fileName, source });
      }
    },
  };
}

export default defineConfig({
  base: './',
  root: here,
  appType: 'mpa', // an address that is not there is answered with 404, not with the page
  plugins: [
    strictPolicy(),
    icons(),
    VitePWA({
      strategies: 'injectManifest',
      srcDir: 'src/service_worker',
      filename: 'service_worker.ts',
      injectRegister: false,
      injectManifest: {
        globPatterns: ['**/*.{html,js,mjs,css,wasm,svg,png,woff2}'],
        maximumFileSizeToCacheInBytes: 8_000_000,
      },
      manifest: {
        id: './',
        name: 'Linnet',
        short_name: 'Linnet',
        description: 'A chat with a language model that runs on this device, with the network off.',
        start_url: './',
        scope: './',
        display: 'standalone',
        background_color: '#faf7f2',
        theme_color: '#faf7f2',
        categories: ['productivity', 'utilities'],
        icons: [
          { src: 'icon.svg', sizes: 'any', type: 'image/svg+xml', purpose: 'any' },
          { src: 'icon-192.png', sizes: '192x192', type: 'image/png', purpose: 'any' },
          { src: 'icon-512.png', sizes: '512x512', type: 'image/png', purpose: 'any' },
          { src: 'icon-512.png', sizes: '512x512', type: 'image/png', purpose: 'maskable' },
        ],
      },
    }),
  ],
  build: {
    outDir,
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0, // the policy allows no data: addresses but for pictures
    rollupOptions: { input: [resolve(here, 'index.html'), resolve(here, 'bench.html')] },
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 700,
  },
  worker: { format: 'es' },
  preview: {
    headers: {
      'Cross-Origin-Opener-Policy': 'same-origin',
      'Cross-Origin-Embedder-Policy': 'require-corp',
      'Cache-Control': 'no-cache',
    },
  },
});
