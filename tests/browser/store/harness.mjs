// What the tests of the store share: a server, a browser, a page with the store in a worker, and calls to it.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { launch } from '../lib/chromium.mjs';
import { root } from '../lib/models.mjs';
import { startServer, STRICT_CSP } from '../lib/server.mjs';

export const here = join(root, 'tests/browser/store');
let script;

/** The worker as one file. */
export async function bundle() {
  if (script) return script;
  const esbuild = createRequire(join(root, 'wasm/package/package.json'))('esbuild');
  const { outputFiles } = await esbuild.build({
    entryPoints: [join(here, 'worker.ts')],
    bundle: true,
    format: 'esm',
    target: 'es2022',
    write: false,
  });
  return (script = Buffer.from(outputFiles[0].contents));
}

export class Harness {
  static async start({ profile, csp = STRICT_CSP } = {}) {
    const harness = new Harness();
    harness.server = await startServer({ csp, isolated: true });
    harness.server
      .file('/index.html', Buffer.from('<!doctype html><title>Store</title><script type="module" src="/page.js"></script>'))
      .file('/blank.html', Buffer.from('<!doctype html><title>Blank</title>'))
      .file('/worker.js', await bundle())
      .folder('/', here);
    await harness.browse({ profile });
    return harness;
  }

  async browse(options) {
    this.browser = await launch(options);
    this.page = await this.open();
  }

  async stop() {
    await this.browser?.close();
    await this.server?.close();
  }

  async open() {
    const tab = await this.browser.page(this.server.url('/index.html'));
    await this.answers(tab);
    return tab;
  }

  /** The tab's worker has loaded: a test may take the network away from here on. */
  async answers(tab) {
    await this.callIn(tab, 'files');
  }

  url(path = '/model') {
    return this.server.url(path);
  }

  /** An empty storage, one tab, and a server that is well. */
  async reset(bytes) {
    const { server, browser, page } = this;
    server.file('/model', bytes).fault('/model').forget();
    server.configure({ headers: {} });
    for (const one of browser.context.pages()) if (one !== page) await one.close();
    await browser.context.setOffline(false);
    await page.goto(server.url('/blank.html'));
    await browser.setQuota(page);
    await page.evaluate(async () => {
      const folder = await navigator.storage.getDirectory();
      for (let wait = 0; ; ++wait) {
        try {
          for await (const name of folder.keys()) await folder.removeEntry(name, { recursive: true });
          return;
        } catch (error) {
          if (wait === 20) throw error;
          await new Promise((resolve) => setTimeout(resolve, 100)); // the worker of the test before still ends
        }
      }
    });
    await page.goto(server.url('/index.html'));
    await this.answers(page);
  }

  /** { value } or { error: { name, code, message } } */
  call(op, ...args) {
    return this.callIn(this.page, op, ...args);
  }
  callIn(tab, op, ...args) {
    return tab.evaluate(([op, args]) => store.call(op, ...args), [op, args]);
  }
  begin(tab, op, ...args) {
    return tab.evaluate(([op, args]) => store.begin(op, ...args), [op, args]);
  }
  end(tab, id) {
    return tab.evaluate((id) => store.end(id), id);
  }
  reached(tab, id, phase, loaded) {
    return tab.evaluate((args) => store.reached(...args), [id, phase, loaded]);
  }
  abort(tab, id) {
    return tab.evaluate((id) => store.abort(id), id);
  }
  async value(op, ...args) {
    const { value, error } = await this.call(op, ...args);
    assert.equal(error, undefined, JSON.stringify(error));
    return value;
  }
  list() {
    return this.value('list');
  }
  async files() {
    return Object.keys(await this.value('files'));
  }

  /** Obtains, and compares what was stored with what was served. */
  async obtain(expected, { tab = this.page, path = '/model' } = {}) {
    const { value, error } = await this.callIn(tab, 'obtain', path.includes('://') ? path : this.url(path));
    assert.equal(error, undefined, JSON.stringify(error));
    const hash = await this.callIn(tab, 'hash', value.opened);
    assert.equal(hash.value, expected.hash, JSON.stringify(hash));
    return value.opened;
  }

  /** Obtains in vain: the error's code, and what its sentence says. */
  async fails(code, sentence, { tab = this.page, path = '/model' } = {}) {
    const { error, value } = await this.callIn(tab, 'obtain', path.includes('://') ? path : this.url(path));
    assert.ok(error, `expected ${code}, got ${JSON.stringify(value)}`);
    assert.equal(error.code, code, JSON.stringify(error));
    assert.match(error.message, sentence);
    return error;
  }
}
