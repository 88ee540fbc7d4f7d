// The speed page: it measures as the command does, and says it in a table, a picture and the command's JSON.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { findings } from './lib/axe.mjs';
import { launch } from './lib/chromium.mjs';
import { chat, linnet, root, slow } from './lib/models.mjs';
import { downloadModel, openPage, openSettings, startPage, worksOffline } from './lib/page.mjs';

/** Every name in it with the kind of its value; of a list, of its first entry. */
function shape(value) {
  if (Array.isArray(value)) return value.length > 0 ? [shape(value[0])] : [];
  if (typeof value !== 'object' || value === null) return typeof value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, shape(inner)]));
}

async function openBench(page, server) {
  await page.goto(server.url(`${server.base}bench.html`));
  await page.getByRole('heading', { name: 'Speed on this device' }).waitFor();
}

async function choose(page, { file, prompts, decode, threads }) {
  if (file) await page.getByLabel('Model file').setInputFiles(file);
  await page.getByLabel('Lengths of the prompt').fill(prompts);
  await page.getByLabel('Decoded tokens').fill(String(decode));
  if (threads) await page.getByLabel('Threads').fill(String(threads));
}

const measure = (page) => page.getByRole('button', { name: 'Measure', exact: true }).click();
const result = (page) => page.getByRole('region', { name: 'Result', exact: true });
const resultIsThere = (page) => result(page).waitFor({ timeout: 120_000 });

async function saved(page, button) {
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: button }).click()]);
  return readFileSync(await download.path(), 'utf8');
}

describe('the speed page', () => {
  let browser, server, page;
  before(async () => {
    browser = await launch();
    server = await startPage({ model: chat(), isolated: true });
    page = await openPage(browser, server);
  });
  after(async () => {
    await browser?.close();
    await server?.close();
  });

  test('a file: the table, the picture, and JSON with the names of the command', async () => {
    await openBench(page, server);
    await page.getByText('No model is stored here yet').waitFor();
    assert.ok(await page.getByRole('button', { name: 'Measure', exact: true }).isDisabled());
    await choose(page, { file: chat(), prompts: '0, 8, 24', decode: 6, threads: 2 });
    await measure(page);
    await resultIsThere(page);

    const report = JSON.parse(await saved(page, 'Download JSON'));
    const lengths = ['--prompt', '0,8,24', '--decode', '6', '--repeat', '1', '--threads', '2'];
    const native = JSON.parse(await linnet('bench', chat(), ...lengths, '--json'));
    assert.deepEqual(shape(report), shape(native));
    assert.equal(report.machine.place, 'browser');
    assert.match(report.kernels, /^wasm-/);
    assert.deepEqual([report.threads, report.model], [2, 'chat']);
    assert.ok(report.rounds >= 3);
    const same = ({ after, tokens, macs_per_token, bytes_per_token }) => ({ after, tokens, macs_per_token, bytes_per_token });
    assert.deepEqual(report.prefill.map(same), native.prefill.map(same));
    assert.deepEqual(report.decode.map(same), native.decode.map(same));
    for (const row of [...report.prefill, ...report.decode]) {
      assert.ok(row.least > 0 && row.least <= row.tokens_per_second && row.tokens_per_second <= row.most);
      assert.ok(row.share_of_bound > 0);
      assert.equal(row.dot_ceilings.length, row.rounds.length);
    }
    for (const name of [
      'read_ceiling_bytes_per_second',
      'dot_ceiling_macs_per_second',
      'dot_ceiling_one_token_macs_per_second',
    ]) {
      assert.ok(report[name] > 1e7, name);
    }
    assert.ok(report.load.cold_first_token_seconds > 0 && report.load.cached_first_token_seconds > 0);
    assert.ok(report.load.storage_bytes_per_second > 0);

    await browser.context.grantPermissions(['clipboard-read', 'clipboard-write']);
    await page.getByRole('button', { name: 'Copy JSON' }).click();
    await page.getByRole('button', { name: 'Copied' }).waitFor();
    assert.deepEqual(JSON.parse(await page.evaluate(() => navigator.clipboard.readText())), report);

    const rows = await page.getByRole('row').allInnerTexts();
    assert.equal(rows.length, 6);
    assert.match(rows[2], /^Prefill 24\s+[\d.,]+\s+[\d.,]+ to [\d.,]+\s/);
    assert.match(rows[5], /^Decode after 24\s.*% \((memory|dots)\)/);
    const picture = page.getByRole('img', { name: /^Picture of the table/ });
    assert.ok(await picture.evaluate((image) => image.complete && image.naturalWidth > 300));
    const svg = await saved(page, 'Download SVG');
    const drawn = await page.evaluate((text) => {
      const { documentElement: root } = new DOMParser().parseFromString(text, 'image/svg+xml');
      return [root.localName, root.querySelectorAll('rect.bar').length, root.querySelector('title')?.textContent];
    }, svg);
    assert.deepEqual(drawn, ['svg', 5, 'Speed of chat']);
  });

  test('Stop ends it, and it can be begun anew', async () => {
    await openBench(page, server);
    await choose(page, { file: slow(), prompts: '512', decode: 64, threads: 1 });
    await measure(page);
    await page.getByText('Measuring').waitFor({ timeout: 60_000 });
    // The page itself stays free meanwhile.
    const waited = await page.evaluate(async () => {
      const start = performance.now();
      for (let i = 0; i < 5; ++i) await new Promise((done) => setTimeout(done, 10));
      return performance.now() - start;
    });
    assert.ok(waited < 2000, `the page stood still for ${waited} ms`);
    await page.getByRole('button', { name: 'Stop' }).click();
    await page.getByText('Stopped. Nothing was measured.').waitFor({ timeout: 5000 });
    await choose(page, { file: chat(), prompts: '8', decode: 4 });
    await measure(page);
    await resultIsThere(page);
  });

  test('what is no model, and lengths that do not fit, are refused with a sentence', async () => {
    await openBench(page, server);
    await choose(page, { file: { name: 'x.linnet', mimeType: '', buffer: Buffer.from('nothing') }, prompts: '8', decode: 4 });
    await measure(page);
    assert.match(await page.getByRole('alert').innerText(), /^[A-Z].{20,}\.$/s);
    await choose(page, { file: chat(), prompts: '900000', decode: 4 });
    await measure(page);
    await page.getByRole('alert').filter({ hasText: 'do not fit' }).waitFor({ timeout: 30_000 });
    await page.getByLabel('Lengths of the prompt').fill('8, many');
    assert.ok(await page.getByRole('button', { name: 'Measure', exact: true }).isDisabled());
  });

  test('a stored model, without a network; found from the settings', async () => {
    await page.goto(server.home);
    await downloadModel(page);
    await worksOffline(page);
    await browser.context.setOffline(true);
    await openSettings(page);
    await page.getByRole('link', { name: 'Measure how fast a model runs on this device' }).click();
    await page.getByLabel('Model', { exact: true }).waitFor();
    await choose(page, { prompts: '8', decode: 4, threads: 1 });
    await measure(page);
    await resultIsThere(page);
    await browser.context.setOffline(false);
    assert.deepEqual(await page.evaluate(() => globalThis.violations ?? []), []);
    assert.deepEqual(browser.errors, []);
  });
});

const pictures = join(root, 'build/screenshots');
for (const colorScheme of ['light', 'dark']) {
  for (const width of [1280, 390]) {
    test(`axe finds nothing, and nothing is wider than the page: ${colorScheme}, ${width} pixels wide`, async () => {
      const context = { viewport: { width, height: 844 }, colorScheme, reducedMotion: 'reduce' };
      const browser = await launch({ context });
      const server = await startPage({ model: chat(), isolated: true });
      try {
        const page = await openPage(browser, server);
        await openBench(page, server);
        await page.getByText('No model is stored here yet').waitFor();
        assert.deepEqual(await findings(page), [], 'before');
        await choose(page, { file: chat(), prompts: '8, 24', decode: 4, threads: 1 });
        await measure(page);
        await page.getByRole('button', { name: 'Stop' }).waitFor();
        await resultIsThere(page);
        assert.deepEqual(await findings(page), [], 'the result');
        const most = await page.evaluate(() =>
          Math.max(...[...document.querySelectorAll('.bench > *')].map((e) => e.scrollWidth)),
        );
        assert.ok(most <= width, `${most} pixels`);
        mkdirSync(pictures, { recursive: true });
        await page.locator('.bench').evaluate((element) => (element.parentElement.style.height = 'auto'));
        await page.screenshot({ path: join(pictures, `bench-${width}-${colorScheme}.png`), fullPage: true });
        await page.getByRole('img', { name: /^Picture/ }).scrollIntoViewIfNeeded();
        await page.screenshot({ path: join(pictures, `bench-${width}-${colorScheme}-plot.png`) });
      } finally {
        await browser.close();
        await server.close();
      }
    });
  }
}
