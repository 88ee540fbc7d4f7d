// The packed tarball in projects of somebody else: a fresh Vite project, built and by its dev server, its types under the
// strictest options, and a plain page at a sub-path under a strict policy.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { launch, temporaryFolder } from './lib/chromium.mjs';
import { chat, nativeLogitsHash, root } from './lib/models.mjs';
import { STRICT_CSP, startServer } from './lib/server.mjs';

// npm runs under the Node that it came with: Debian's npm knows no other.

function command(program, args, cwd) {
  return new Promise((done, failed) => {
    execFile(program, args, { cwd, maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      if (error) failed(new Error(`${program} ${args.join(' ')}: ${stdout}${stderr || error.message}`));
      else done(stdout.trim());
    });
  });
}

let project;
let browser;
let unreachable;
let expected;

before(async () => {
  const tarball = await command(join(root, 'wasm/package.sh'), ['--no-build'], root);
  project = temporaryFolder('linnet-consumer-');
  cpSync(join(root, 'tests/browser/consumer'), project, { recursive: true, filter: (path) => !path.includes('node_modules') });
  mkdirSync(join(project, 'public/models'), { recursive: true });
  cpSync(chat(), join(project, 'public/models/chat.linnet'));
  try {
    await command('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], project);
  } catch (error) {
    unreachable = `Vite cannot be had from npm: ${String(error).split('\n').at(-1)}`;
  }
  await command('npm', ['install', '--no-save', '--offline', '--no-audit', '--no-fund', tarball], project);
  browser = await launch();
  expected = await nativeLogitsHash(chat(), [1, 2, 3]);
});
after(async () => {
  await browser?.close();
  if (project) rmSync(project, { recursive: true, force: true });
});

async function chatsAt(address, threads) {
  const page = await browser.page(address);
  await page.waitForFunction(() => globalThis.chat);
  const { text, hash, threads: used } = await page.evaluate(() => globalThis.chat());
  assert.equal(hash, expected);
  assert.ok(text.length > 0);
  assert.equal(used, threads);
  await page.getByRole('button', { name: /start/i }).click();
  await page.getByRole('textbox', { name: 'Message' }).fill('Hello');
  await page.keyboard.press('Enter');
  await page
    .getByRole('button', { name: 'Answer again' })
    .or(page.getByRole('button', { name: 'Stop' }))
    .first()
    .waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Send' }).waitFor();
  await page.close();
}

const vite = async () => await import(pathToFileURL(join(project, 'node_modules/vite/dist/node/index.js')).href);
const ISOLATED = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' };

test('its types satisfy a strict consumer that checks libraries', async (t) => {
  if (unreachable) return t.skip(unreachable);
  await command(process.execPath, ['node_modules/typescript/bin/tsc', '-p', '.'], project);
});

test('a Vite project chats: built, at a sub-path, under the strict policy', async (t) => {
  if (unreachable) return t.skip(unreachable);
  const { build } = await vite();
  const warnings = [];
  await build({
    root: project,
    base: './',
    logLevel: 'silent',
    build: { rolldownOptions: { onwarn: (warning) => warnings.push(warning.message) } },
  });
  assert.deepEqual(warnings, []);
  const names = readdirSync(join(project, 'dist/assets'));
  assert.ok(
    names.some((name) => /^linnet-relaxed-threads-.*\.wasm$/.test(name)),
    names.join(' '),
  );
  for (const isolated of [false, true]) {
    const server = await startServer({ csp: STRICT_CSP, isolated });
    t.after(() => server.close());
    server.folder('/some/where/', join(project, 'dist'));
    await chatsAt(server.url('/some/where/'), isolated ? await cores() : 1);
    assert.deepEqual(server.violations, []);
  }
});

test('a Vite project chats by its dev server, with nothing configured', async (t) => {
  if (unreachable) return t.skip(unreachable);
  const { createServer } = await vite();
  for (const isolated of [false, true]) {
    const dev = await createServer({
      root: project,
      logLevel: 'silent',
      server: { port: 0, host: 'localhost', headers: isolated ? ISOLATED : {} },
    });
    t.after(() => dev.close());
    await dev.listen();
    await chatsAt(dev.resolvedUrls.local[0], isolated ? await cores() : 1);
  }
});

test('a plain page chats: two lines of HTML, at a sub-path, under the strict policy', async (t) => {
  const server = await startServer({ csp: STRICT_CSP });
  t.after(() => server.close());
  const page = `<!doctype html><html lang="en"><head><title>Plain</title>
<script type="module" src="vendor/linnet/linnet-chat.js"></script></head><body>
<linnet-chat model="models/chat.linnet" temperature="0" context="512"></linnet-chat>
<script type="module" src="page.js"></script></body></html>`;
  const script = `import { Linnet } from './vendor/linnet/index.js';
globalThis.chat = async () => {
  const model = await Linnet.load(new URL('models/chat.linnet', location.href), { context: 512 });
  const { text } = await (await model.session()).prompt('Hello', { maxTokens: 8 });
  const hash = await model.logitsHash([1, 2, 3]);
  await model.unload();
  return { text, hash, threads: model.info.threads };
};`;
  server
    .folder('/~me/site/vendor/linnet/', join(project, 'node_modules/linnet/dist'))
    .file('/~me/site/index.html', Buffer.from(page))
    .file('/~me/site/page.js', Buffer.from(script))
    .file('/~me/site/models/chat.linnet', chat());
  await chatsAt(server.url('/~me/site/index.html'), 1);
  assert.deepEqual(server.violations, []);
});

/** What 'auto' takes where there are threads. */
async function cores() {
  const page = await browser.page('about:blank');
  const count = await page.evaluate(() => navigator.hardwareConcurrency);
  await page.close();
  return Math.min(count, 8);
}
