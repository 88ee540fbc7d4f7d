// Headless Chromium for tests, driven by playwright-core, with a profile of its own that is deleted afterwards. A profile can be
// kept from one start to the next: a browser that was closed or killed comes back to what it had stored.
import { accessSync, constants, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { chromium } from 'playwright-core';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/** The browser's program: $LINNET_CHROMIUM, else the first on PATH. Null: there is none. */
export function findChromium() {
  if (process.env.LINNET_CHROMIUM) return process.env.LINNET_CHROMIUM;
  for (const name of NAMES) {
    for (const folder of (process.env.PATH ?? '').split(delimiter)) {
      const candidate = join(folder, name);
      try {
        accessSync(candidate, constants.X_OK);
        return candidate;
      } catch {
        // the next one
      }
    }
  }
  return null;
}

export const temporaryFolder = (what = 'linnet-browser-') => mkdtempSync(join(tmpdir(), what));

const folders = new Set();
const browsers = new Set();
process.once('exit', () => {
  for (const browser of browsers) browser.killNow();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
});

/** A folder that is deleted when the process ends. */
export function profileFolder() {
  const folder = temporaryFolder('linnet-profile-');
  folders.add(folder);
  return folder;
}

export class Browser {
  #context;
  #profile;
  #ownsProfile;
  /** Messages of pages' consoles and their uncaught errors, as texts. */
  console = [];
  errors = [];

  constructor(context, profile, ownsProfile) {
    this.#context = context;
    this.#profile = profile;
    this.#ownsProfile = ownsProfile;
    browsers.add(this);
    context?.on('page', (page) => this.#watch(page));
    for (const page of context?.pages() ?? []) this.#watch(page);
  }

  /** playwright's BrowserContext. */
  get context() {
    return this.#context;
  }

  #watch(page) {
    page.on('console', (message) => this.console.push(`${message.type()}: ${message.text()}`));
    page.on('pageerror', (error) => this.errors.push(String(error.stack ?? error)));
  }

  /** A new tab, at an address when one is named. */
  async page(url, options) {
    const page = await this.#context.newPage();
    if (url) await page.goto(url, options);
    return page;
  }

  async cdp(page) {
    return await this.#context.newCDPSession(page);
  }

  /** The most bytes that an origin may store, as the browser then believes. */
  async setQuota(page, bytes) {
    const session = await this.cdp(page);
    const origin = new URL(page.url()).origin;
    await session.send('Storage.overrideQuotaForOrigin', bytes === undefined ? { origin } : { origin, quotaSize: bytes });
  }

  /** The processes of this browser: its profile stands in their command lines, or they are children of such. */
  processes() {
    const all = [];
    for (const name of readdirSync('/proc')) {
      if (!/^\d+$/.test(name)) continue;
      try {
        const command = readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ');
        // "pid (name) state parent …": the name may hold anything, brackets too.
        const parent = Number(
          readFileSync(`/proc/${name}/stat`, 'utf8')
            .replace(/^.*\) . /s, '')
            .split(' ')[0],
        );
        all.push({ pid: Number(name), parent, command });
      } catch {
        // it has ended
      }
    }
    const ours = new Set(all.filter(({ command }) => command.includes(this.#profile)).map(({ pid }) => pid));
    for (let before = -1; before !== ours.size;) {
      before = ours.size;
      for (const { pid, parent } of all) if (ours.has(parent)) ours.add(pid);
    }
    return all
      .filter(({ pid }) => ours.has(pid))
      .map(({ pid, command }) => ({ pid, type: /--type=([\w-]+)/.exec(command)?.[1] ?? 'browser' }));
  }

  /** Memory of the renderer that has most, in bytes: the tab with the model in it. Without what it shares with other programs,
   *  which is Chromium's own code. */
  rendererBytes() {
    let most = 0;
    for (const { pid, type } of this.processes()) {
      if (type !== 'renderer') continue;
      try {
        const kilobytes = /^Anonymous:\s*(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0;
        most = Math.max(most, Number(kilobytes) * 1024);
      } catch {
        // it has ended
      }
    }
    return most;
  }

  killNow() {
    browsers.delete(this);
    for (const { pid } of this.processes()) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // it has ended
      }
    }
  }

  /** Ends the browser as a crash or a power cut would: nothing is told to its pages. */
  async kill() {
    const closed = new Promise((resolve) => this.#context.once('close', resolve));
    this.killNow();
    await closed;
  }

  async close() {
    browsers.delete(this);
    await this.#context?.close().catch(() => {});
    if (this.#ownsProfile) {
      rmSync(this.#profile, { recursive: true, force: true, maxRetries: 5 });
      folders.delete(this.#profile);
    }
  }
}

/**
 * Starts a browser.
 * @param {object} [options]
 * @param {string} [options.profile]      a folder from profileFolder(), to come back to; default: a new one, deleted on close
 * @param {string[]} [options.args]       more arguments of Chromium
 * @param {boolean} [options.serviceWorkers]  false: pages cannot register one
 * @param {object} [options.context]      more of playwright's context options (viewport, colorScheme, …)
 */
export async function launch({ profile, args = [], serviceWorkers = true, context: more = {} } = {}) {
  const executablePath = findChromium();
  if (!executablePath) throw new Error('There is no Chromium. Please run: tools/install.sh browser');
  const folder = profile ?? profileFolder();
  const context = await chromium.launchPersistentContext(folder, {
    executablePath,
    headless: true,
    // Chromium's sandbox refuses to start as root, as which containers run.
    chromiumSandbox: process.getuid?.() !== 0,
    args: ['--disable-dev-shm-usage', ...args],
    serviceWorkers: serviceWorkers ? 'allow' : 'block',
    acceptDownloads: true,
    viewport: { width: 1280, height: 800 },
    ...more,
  });
  // For what hangs. Other tests and compilers run beside this one, so that the slowest honest step takes some seconds.
  context.setDefaultTimeout(60_000);
  return new Browser(context, folder, profile === undefined);
}
