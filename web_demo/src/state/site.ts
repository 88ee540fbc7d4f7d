// The page as a site: whether there is a network, the service worker that makes it work without one, its new versions, and the
// cross-origin isolation that threads need.
import { signal } from '@preact/signals';
import { Linnet, type Check } from 'linnet';
import { Workbox } from 'workbox-window';
import { running } from './answer.js';
import { modelState } from './model.js';
import { notify } from './notices.js';

export const online = signal(navigator.onLine);
/** Every file of the site is stored: the next visit needs no network. */
export const siteStored = signal(false);
export const check = signal<Check | undefined>(undefined);

addEventListener('online', () => (online.value = true));
addEventListener('offline', () => (online.value = false));

const busy = (): boolean => running.value !== undefined || modelState.value.kind === 'loading';

export async function startSite(): Promise<void> {
  void Linnet.check().then((found) => (check.value = found));
  if (!('serviceWorker' in navigator) || import.meta.env.DEV) return;
  const workbox = new Workbox(new URL('./service_worker.js', document.baseURI).href);

  // A new version waits; it takes over when the person says so, in every tab of the page.
  let reloading = false;
  workbox.addEventListener('waiting', () =>
    notify({
      id: 'new-version',
      text: 'A new version of this page is there. Conversations and models stay as they are.',
      action: 'Reload',
      stays: true,
      run: () => {
        reloading = true;
        workbox.messageSkipWaiting();
      },
    }),
  );
  workbox.addEventListener('controlling', (event) => {
    if (reloading) return location.reload();
    if (event.isUpdate) {
      notify({
        id: 'new-version',
        text: 'This page was renewed from another tab.',
        action: 'Reload',
        stays: true,
        run: () => location.reload(),
      });
    }
  });

  try {
    await workbox.register();
    await navigator.serviceWorker.ready;
    siteStored.value = true;
  } catch {
    return; // storage that is off: the page works while there is a network
  }
  await isolate();
}

const triedKey = 'linnet-isolation';

/** A host that sends no isolation headers: the service worker adds them from the second load on. Reloads once, when it is
 *  sure that the headers come, and never twice. */
async function isolate(): Promise<void> {
  try {
    if (crossOriginIsolated) return sessionStorage.removeItem(triedKey);
    if (!isSecureContext || window.top !== window || sessionStorage.getItem(triedKey)) return;
    if (!navigator.serviceWorker.controller) {
      await new Promise((done) => navigator.serviceWorker.addEventListener('controllerchange', done, { once: true }));
    }
    const page = await fetch(document.baseURI.replace(/#.*/, ''), { cache: 'no-store' });
    if (!page.headers.get('Cross-Origin-Embedder-Policy')) return;
    sessionStorage.setItem(triedKey, '1');
    if (!busy()) return location.reload();
    notify({
      id: 'isolation',
      text: 'Loading the page again lets answers be computed with several threads, which is faster.',
      action: 'Reload',
      stays: true,
      run: () => location.reload(),
    });
  } catch {
    // Without session storage there is no telling whether it was tried: one thread.
  }
}
