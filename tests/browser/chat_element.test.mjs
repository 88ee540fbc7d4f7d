// <linnet-chat> in a plain page: consent with the size before anything is downloaded, progress, an answer, stop, errors, keyboard
// only, and what axe says of it in light and dark.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { launch } from './lib/chromium.mjs';
import { chat, root, slow } from './lib/models.mjs';
import { STRICT_CSP, startServer } from './lib/server.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const pageWith = (element) =>
  Buffer.from(`<!doctype html><html lang="en"><head><meta charset="utf-8"><title>A page</title>
<meta name="viewport" content="width=device-width"><script type="module" src="/linnet/linnet-chat.js"></script></head>
<body><main><h1>A page</h1>${element}</main></body></html>`);

let server;
let browser;

before(async () => {
  server = await startServer({ csp: STRICT_CSP });
  server
    .folder('/linnet/', join(root, 'wasm/package/dist'))
    .file('/chat.linnet', chat())
    .file('/slow.linnet', slow())
    .file('/index.html', pageWith('<linnet-chat model="chat.linnet" temperature="0" context="512"></linnet-chat>'))
    .file('/slow.html', pageWith('<linnet-chat model="slow.linnet" context="512" label="Slow chat"></linnet-chat>'))
    .file('/none.html', pageWith('<linnet-chat model="none.linnet"></linnet-chat>'))
    .file('/wrong.html', pageWith('<linnet-chat model="chat.linnet" temperature="99"></linnet-chat>'))
    .file('/file.html', pageWith('<linnet-chat context="512"></linnet-chat>'));
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.close();
});

/** Violations of accessibility, in the shadow root too. */
async function looks(page, where) {
  // Evaluated by the debugger, which no policy forbids.
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document));
  assert.deepEqual(
    violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(' ')}`),
    [],
    where,
  );
}

const forget = (page) =>
  page.evaluate(async () => {
    const { Linnet } = await import('/linnet/index.js');
    for (const { url } of await Linnet.models.list()) await Linnet.models.delete(url);
  });

test('first run: the size is said before the download, and nothing is downloaded without consent', async () => {
  const page = await browser.page(server.url('/index.html'));
  const button = page.getByRole('button', { name: /^Download \d+ MB and start$/ });
  await button.waitFor();
  assert.match(
    await page.locator('linnet-chat .start').innerText(),
    /downloaded once from localhost:\d+ \(11 MB\) and kept in this browser/,
  );
  assert.equal(server.bytes('/chat.linnet'), 0);
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    await looks(page, `start, ${colorScheme}`);
  }
  server.fault('/chat.linnet', { bytesPerSecond: 4e6 });
  await button.click();
  await page.getByText(/Downloading the model · \d+ MB of 11 MB/).waitFor();
  await looks(page, 'download');
  await page.getByRole('textbox', { name: 'Message' }).waitFor();
  server.fault('/chat.linnet');

  // With the keyboard alone, from where the focus is.
  await page.keyboard.type('Say something');
  await page.keyboard.press('Shift+Enter');
  await page.keyboard.type('in two lines');
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Stop' }).waitFor();
  // Something has been said; stopped before, the question would come back into its field.
  await page.locator('linnet-chat article').nth(1).locator('p').first().waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Send' }).waitFor();
  await page.getByRole('button', { name: 'Answer again' }).waitFor();
  const articles = page.locator('linnet-chat article');
  assert.equal(await articles.count(), 2);
  assert.match(await articles.nth(0).innerText(), /Say something\s+in two lines/);
  assert.match(await articles.nth(1).innerText(), /Stopped\./);
  assert.equal(
    await page.locator('linnet-chat').evaluate((chat) => chat.shadowRoot.querySelector('[role=status]').textContent),
    'Stopped.',
  );
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    await looks(page, `chat, ${colorScheme}`);
  }
  if (process.env.LINNET_SCREENSHOTS) await page.screenshot({ path: join(process.env.LINNET_SCREENSHOTS, 'linnet-chat.png') });
  await page.setViewportSize({ width: 320, height: 600 });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(wide <= 320, `${wide} pixels wide`);

  // Again: it is stored, and nothing is asked of the network for it.
  server.forget();
  await page.reload();
  await page.getByRole('button', { name: 'Start the chat' }).click();
  await page.getByRole('textbox', { name: 'Message' }).waitFor();
  assert.equal(server.bytes('/chat.linnet'), 0);
  assert.deepEqual(server.violations, []);
  await forget(page).catch(() => {});
  await page.close();
});

test('a text with markup in it stays text; what stands between fences is code', async () => {
  const page = await browser.page(server.url('/index.html'));
  await page.getByRole('button', { name: /start/i }).click();
  await page
    .getByRole('textbox', { name: 'Message' })
    .fill('<img src=x onerror=alert(1)> **b**\n```js\nlet a = "<b>";\n```\nafter');
  // From button to button: the one with the focus goes away, and the focus does not.
  const focus = () => page.evaluate(() => document.activeElement?.shadowRoot?.activeElement?.textContent);
  await page.keyboard.press('Tab');
  assert.equal(await focus(), 'Send');
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Stop' }).waitFor();
  assert.equal(await focus(), 'Stop');
  const question = page.locator('linnet-chat article').first();
  await question.waitFor();
  assert.equal(await question.locator('pre code').innerText(), 'let a = "<b>";');
  assert.equal(await question.locator('img, b').count(), 0);
  assert.match(await question.innerText(), /<img src=x onerror=alert\(1\)> \*\*b\*\*/);
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Send' }).waitFor();
  await page.keyboard.type('typed at once');
  assert.match(await page.getByRole('textbox', { name: 'Message' }).inputValue(), /typed at once$/);
  await page.close();
});

test('a download is cancelled, and goes on from there', async () => {
  const page = await browser.page(server.url('/slow.html'));
  server.fault('/slow.linnet', { bytesPerSecond: 3e6 });
  await page.getByRole('button', { name: /^Download 8\d MB and start$/ }).click();
  await page.getByText(/Downloading the model · [1-9]\d* MB of/).waitFor();
  await page.getByRole('button', { name: 'Cancel' }).click();
  await page.getByText(/of it are here already/).waitFor();
  server.fault('/slow.linnet');
  await page.getByRole('button', { name: /^Download \d+ MB and start$/ }).click();
  await page.getByRole('textbox', { name: 'Message' }).waitFor({ timeout: 60_000 });
  await page.getByRole('region', { name: 'Slow chat' }).waitFor();
  await page.close();
});

test('errors are sentences in the page, and it can be tried again', async () => {
  for (const [address, sentence] of [
    ['/none.html', /There is no file at .*none\.linnet/],
    ['/wrong.html', /'temperature' must be a number from 0 to 10\. It is 99\./],
  ]) {
    const page = await browser.page(server.url(address));
    await page.getByRole('button', { name: /start/i }).click();
    const alert = page.getByRole('alert');
    await alert.filter({ hasText: sentence }).waitFor();
    await page.getByRole('button', { name: /start/i }).waitFor();
    await looks(page, address);
    await page.close();
  }
});

test('a file of the person is opened in place', async () => {
  const page = await browser.page(server.url('/file.html'));
  await page.getByLabel('Model file').setInputFiles(chat());
  await looks(page, 'file');
  await page.getByRole('button', { name: 'Start the chat' }).click();
  await page.getByRole('textbox', { name: 'Message' }).waitFor();
  await page.evaluate(() => document.querySelector('linnet-chat').ask('Hello'));
  assert.equal(await page.locator('linnet-chat article').count(), 2);
  // Out of the page, it gives its memory back.
  const unloaded = await page.evaluate(async () => {
    const element = document.querySelector('linnet-chat');
    const model = element.linnet;
    element.remove();
    await new Promise((resolve) => setTimeout(resolve, 50));
    return model.memory().catch((error) => error.code);
  });
  assert.equal(unloaded, 'closed');
  await page.close();
});
