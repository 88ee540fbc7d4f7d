// The chat page from the first visit on: what it says before a download, the download, the network off, threads, several tabs.
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { after, afterEach, before, describe, test } from 'node:test';
import { launch } from './lib/chromium.mjs';
import { chat, chatGguf, nativeLogitsHash } from './lib/models.mjs';
import {
  answers,
  ask,
  downloadButton,
  downloadModel,
  field,
  modelIsOpen,
  nativeAnswer,
  openModels,
  openPage,
  running,
  startPage,
  worksOffline,
} from './lib/page.mjs';
import { STRICT_CSP } from './lib/server.mjs';

const PROMPT = 'What is the capital of France?';
const TOKENS = [1, 5, 9, 300, 301, 302];
let browser, server;

// Each test is a first visit: a server, and so an origin, of its own.
before(async () => {
  browser = await launch();
});
after(async () => {
  await browser?.close();
});
afterEach(async () => {
  for (const page of browser.context.pages()) if (page.url() !== 'about:blank') await page.close();
  await server?.close();
  await browser.context.setOffline(false);
  assert.deepEqual(browser.errors.splice(0), []);
});

describe('first run', () => {
  test('says what is downloaded, how large it is and where it is kept, before anything is fetched', async () => {
    server = await startPage({ model: chat(), isolated: true });
    const page = await openPage(browser, server);
    await downloadButton(page).waitFor();
    const text = await page.locator('main').innerText();
    assert.match(text, /Parrot/);
    assert.match(text, /11(\.3)? MB/);
    assert.match(text, /browser’s own storage/);
    assert.match(text, /MIT/);
    assert.equal(server.bytes(server.model), 0);
    assert.equal(await page.getByRole('button', { name: 'Send' }).isDisabled(), true);

    server.fault(server.model, { bytesPerSecond: 1e6 });
    await downloadButton(page).click();
    const progress = page.getByRole('progressbar').first();
    await page.getByText(/Downloading · .* of .* · .*\/s · .* left/).waitFor();
    const value = () => progress.evaluate((element) => element.value / element.max);
    const early = await value();
    await page.waitForTimeout(1200);
    assert.ok((await value()) > early, 'the bar moves');
    server.fault(server.model);
    await modelIsOpen(page);
    assert.equal(await ask(page, PROMPT), await nativeAnswer(chat(), PROMPT));
    const status = await page.locator('.status').innerText();
    assert.match(status, /2 threads|\d+ threads/);
    assert.match(status, /MB/);
    assert.match(status, /tokens/);
    assert.match(status, /tok(ens)?\/s/);
  });

  test('a download is paused, the page closed, and it goes on at the next visit', async () => {
    server = await startPage({ model: chat(), isolated: true });
    server.fault(server.model, { bytesPerSecond: 0.7e6 });
    let page = await openPage(browser, server);
    await downloadButton(page).click();
    await page.waitForFunction(() => document.querySelector('progress')?.value > 5e6);
    await page.getByRole('button', { name: 'Pause' }).click();
    await page.close();
    server.fault(server.model).forget();
    page = await openPage(browser, server);
    await page.getByRole('button', { name: /^Go on/ }).click();
    await modelIsOpen(page);
    const size = statSync(chat()).size;
    assert.ok(server.bytes(server.model) < size - 2e6, `${server.bytes(server.model)} bytes for what was missing`);
    assert.equal(await ask(page, PROMPT), await nativeAnswer(chat(), PROMPT));
  });

  test('storage that is full is told, with what can be done', async () => {
    server = await startPage({ model: chat(), isolated: true });
    const page = await openPage(browser, server);
    await downloadButton(page).waitFor();
    await browser.setQuota(page, 3_000_000);
    await downloadButton(page).click();
    const problem = page.getByRole('group', { name: 'Problem' }).first();
    await problem.waitFor();
    assert.match(await problem.innerText(), /\d MB/);
    await browser.setQuota(page);
    await problem.getByRole('button', { name: 'Try again' }).click();
    await modelIsOpen(page);
  });
});

describe('the network off', () => {
  for (const isolated of [true, false]) {
    test(`after the first visit it answers with the same bits, ${isolated ? 'with' : 'without'} headers of the host`, async () => {
      server = await startPage({ model: chat(), isolated, base: '/sub/path/' });
      const page = await openPage(browser, server);
      await worksOffline(page);
      // A host without headers: the service worker gives them, and the page loads itself again once.
      await page.waitForFunction(() => crossOriginIsolated, undefined, { timeout: 30_000 });
      await downloadModel(page);
      assert.equal(await ask(page, PROMPT), await nativeAnswer(chat(), PROMPT));

      await server.close();
      await browser.context.setOffline(true);
      await page.reload();
      await modelIsOpen(page);
      assert.match(await page.locator('.status').innerText(), /Offline/);
      await page.getByRole('button', { name: 'New chat' }).click();
      assert.equal(await ask(page, PROMPT), await nativeAnswer(chat(), PROMPT));
      assert.equal(
        await page.evaluate((tokens) => globalThis.linnet.model.logitsHash(tokens), TOKENS),
        await nativeLogitsHash(chat(), TOKENS),
      );
      assert.equal(await page.evaluate(() => globalThis.linnet.model.info.threads > 1), true);
    });
  }
});

test('without a service worker and without headers there is one thread, and the page says why', async () => {
  const plain = await launch({ serviceWorkers: false });
  server = await startPage({ model: chat() });
  try {
    const page = await openPage(plain, server);
    await downloadModel(page);
    assert.equal(await page.evaluate(() => typeof SharedArrayBuffer), 'undefined');
    assert.equal(await ask(page, PROMPT), await nativeAnswer(chat(), PROMPT));
    const threads = page.getByRole('button', { name: /^1 thread\./ });
    assert.match(await threads.getAttribute('aria-label'), /Cross-Origin-Opener-Policy/);
  } finally {
    await plain.close();
  }
});

test('strict policy of the host, in a sub-path: nothing is reported, nothing is asked of elsewhere', async () => {
  server = await startPage({ model: chat(), csp: STRICT_CSP, isolated: true, base: '/a/b/' });
  const page = await openPage(browser, server);
  const outside = [];
  page.on('request', (request) => {
    if (!request.url().startsWith(server.home)) outside.push(request.url());
  });
  await worksOffline(page);
  await downloadModel(page);
  await ask(page, PROMPT);
  await openModels(page);
  await page.waitForTimeout(300);
  assert.deepEqual(await page.evaluate(() => globalThis.violations ?? []), []);
  assert.deepEqual(server.violations, []);
  assert.deepEqual(outside, []);
  assert.deepEqual(
    server.requests.filter(({ status }) => status >= 400).map(({ path }) => path),
    [],
  );
});

test('two tabs: one download, and both answer', async () => {
  server = await startPage({ model: chat(), isolated: true });
  server.fault(server.model, { bytesPerSecond: 2e6 });
  const first = await openPage(browser, server);
  const second = await openPage(browser, server);
  await Promise.all([downloadButton(first).click(), downloadButton(second).click()]);
  await Promise.all([modelIsOpen(first), modelIsOpen(second)]);
  const size = statSync(chat()).size;
  assert.ok(server.bytes(server.model) < size + 3e6, `${server.bytes(server.model)} bytes for a file of ${size}`);
  const expected = await nativeAnswer(chat(), PROMPT);
  assert.equal(await ask(first, PROMPT), expected);
  assert.equal(await ask(second, PROMPT), expected);
});

describe('other models', () => {
  test('by the address of a GGUF file, converted here', async () => {
    server = await startPage({ model: chat(), isolated: true });
    server.file('/other.gguf', chatGguf());
    const page = await openPage(browser, server);
    await openModels(page);
    await page.getByLabel('Address of a .linnet or .gguf file').fill(server.url('/other.gguf'));
    await page.getByRole('dialog').getByRole('button', { name: 'Download', exact: true }).click();
    await page.locator('.model-button.ready').waitFor({ timeout: 90_000 });
    await page.keyboard.press('Escape');
    assert.equal(await ask(page, PROMPT), await nativeAnswer(chat(), PROMPT));
  });

  test('from a file of the person, and deleted again', async () => {
    server = await startPage({ model: chat(), isolated: true });
    const page = await openPage(browser, server);
    await openModels(page);
    await page.getByLabel('Model file').setInputFiles(chat());
    await page.locator('.model-button.ready').waitFor({ timeout: 60_000 });
    await page.keyboard.press('Escape');
    assert.equal(await ask(page, PROMPT), await nativeAnswer(chat(), PROMPT));
    assert.equal(server.bytes(server.model), 0);
    await openModels(page);
    await page.getByRole('button', { name: /^Download Parrot/ }).click();
    await page.locator('.model-button.ready').waitFor({ timeout: 60_000 });
    await page.getByRole('button', { name: 'Check Parrot' }).click();
    await page.getByText('All checksums are right.').waitFor();
    await page.getByRole('button', { name: 'Delete Parrot' }).click();
    await page.getByText(/to download$/).waitFor();
  });
});

describe('conversations', () => {
  test('are kept, edited, answered again, named, exported and imported', async () => {
    server = await startPage({ model: chat(), isolated: true });
    const page = await openPage(browser, server);
    await downloadModel(page);
    const first = await ask(page, 'One');
    await ask(page, 'Two');
    await page.reload();
    await modelIsOpen(page);
    assert.equal(await answers(page).count(), 2);

    await page.getByRole('article', { name: 'You' }).first().hover();
    await page.getByRole('button', { name: 'Edit question' }).first().click();
    await page.getByRole('textbox', { name: 'Edit your question' }).fill('Three');
    await page.getByRole('button', { name: 'Ask again' }).click();
    await page.waitForFunction(() => document.querySelectorAll('article.question').length === 1);
    await running(page).waitFor({ state: 'detached' });
    await answers(page).first().waitFor();
    assert.equal(await answers(page).count(), 1);

    await page.getByRole('button', { name: 'New chat' }).click();
    assert.equal(await ask(page, 'One'), first);
    await page.getByRole('article', { name: 'Answer' }).hover();
    await page.getByRole('button', { name: 'Answer again' }).click();
    await page.waitForTimeout(100);
    await running(page).waitFor({ state: 'detached' });
    await answers(page).first().waitFor();
    assert.equal((await answers(page).first().locator('.markdown').innerText()).trim(), first);

    await page.getByRole('button', { name: 'Export and import' }).click();
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('menuitem', { name: 'Export all' }).click(),
    ]);
    const stream = await download.createReadStream();
    let json = '';
    for await (const part of stream) json += part;
    const found = JSON.stringify(JSON.parse(json));
    assert.ok(found.includes('"Three"') && found.includes('"One"'), found.slice(0, 300));

    // What an answer says is text, never a page's own markup.
    const file = JSON.parse(json);
    file.conversations[0].title = 'Planted';
    for (const message of file.conversations[0].messages) {
      message.content =
        '<script>globalThis.harm=1</script>\n\n<img src=x onerror="globalThis.harm=1">\n\n**bold** [x](javascript:globalThis.harm=1)';
    }
    await page
      .getByLabel('File of conversations')
      .setInputFiles({ name: 'c.json', mimeType: 'application/json', buffer: Buffer.from(JSON.stringify(file)) });
    await page.getByText(/conversations? (is|are) here again/).waitFor();
    await page.getByRole('link', { name: 'Planted' }).click();
    await page.locator('.markdown strong').first().waitFor();
    assert.equal(await page.locator('.markdown img, .markdown script, .markdown a[href^="javascript"]').count(), 0);
    assert.equal(await page.evaluate(() => globalThis.harm), undefined);
  });
});

test('a phone: the conversations in a drawer, nothing wider than the screen', async () => {
  const phone = await launch({ context: { viewport: { width: 360, height: 640 }, hasTouch: true, isMobile: true } });
  server = await startPage({ model: chat(), isolated: true });
  try {
    const page = await openPage(phone, server);
    await downloadModel(page);
    await ask(page, PROMPT);
    const fits = () => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth);
    assert.equal(await fits(), true);
    await page.getByRole('button', { name: 'Conversations' }).click();
    await page.getByRole('dialog', { name: 'Conversations' }).getByRole('link').first().waitFor();
    assert.equal(await fits(), true);
    await page.getByRole('button', { name: 'Settings' }).click();
    await page.getByRole('dialog', { name: 'Settings' }).waitFor();
    assert.equal(await fits(), true);
    assert.equal(await field(page).count(), 1);
  } finally {
    await phone.close();
  }
});
