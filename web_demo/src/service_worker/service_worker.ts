// The page without a network: every file of the site is stored at the first visit and served from there. Models are never
// stored here: they are the package's, in a storage of its own, and pass by this worker untouched.
//
// It also adds the two headers that make a page cross-origin isolated, so that the model can compute with several threads on
// a host that sends no such headers (GitHub Pages, for one).
import { clientsClaim } from 'workbox-core';
import { addPlugins, cleanupOutdatedCaches, precacheAndRoute } from 'workbox-precaching';
import { registerRoute } from 'workbox-routing';
import { NetworkFirst } from 'workbox-strategies';

declare const self: ServiceWorkerGlobalScope & { __WB_MANIFEST: { url: string; revision: string | null }[] };

function withIsolation(response: Response): Response {
  const headers = new Headers(response.headers);
  headers.set('Cross-Origin-Opener-Policy', 'same-origin');
  headers.set('Cross-Origin-Embedder-Policy', 'require-corp');
  headers.set('Cross-Origin-Resource-Policy', 'same-origin');
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}

addPlugins([{ handlerWillRespond: async ({ response }) => withIsolation(response) }]);
// Whatever stands behind the question mark, it is the same page.
precacheAndRoute(self.__WB_MANIFEST, { ignoreURLParametersMatching: [/.*/] });
cleanupOutdatedCaches();

// Which models the site offers may change without a new version of the page.
registerRoute(
  ({ url, sameOrigin }) => sameOrigin && url.pathname.endsWith('/models.json'),
  new NetworkFirst({ cacheName: 'models-json' }),
);

// A new version waits until the person agrees to reload: the page asks for it.
self.addEventListener('message', (event) => {
  if ((event.data as { type?: string } | null)?.type === 'SKIP_WAITING') void self.skipWaiting();
});
clientsClaim();
