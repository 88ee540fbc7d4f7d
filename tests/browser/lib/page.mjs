// The built chat page on a test server, and the handful of things that a person does with it.
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { startServer } from './server.mjs';
import { linnet, root } from './models.mjs';

const built = join(root, 'build/web_demo');

/**
 * A server with the page at `base`, which offers one model. Options as startServer's.
 * @param {{ model: string, base?: string, name?: string, license?: string, description?: string }} options
 */
export async function startPage({ model, base = '/', name, license, description, ...options }) {
  if (!existsSync(join(built, 'index.html'))) throw new Error('The page is not built. Please run: tools/test.sh browser');
  const server = await startServer(options);
  server.base = base;
  server.model = `${base}models/chat.linnet`;
  server.home = server.url(base);
  const offered = [
    {
      name: name ?? 'Parrot',
      url: 'models/chat.linnet',
      bytes: statSync(model).size,
      license: license ?? 'MIT',
      description: description ?? 'It repeats letters, in pairs.',
    },
  ];
  server
    .folder(base, built)
    .file(server.model, model)
    .file(`${base}models.json`, Buffer.from(JSON.stringify(offered)));
  return server;
}

/** A tab with the page, and its settings as if they had been made before; no repetition penalty, as in the command. */
export async function openPage(browser, server, made = { temperature: 0, maxTokens: 40 }) {
  const settings = { repetitionPenalty: 1, ...made };
  const page = await browser.page();
  await page.addInitScript((settings) => {
    if (!localStorage.getItem('linnet-settings')) localStorage.setItem('linnet-settings', JSON.stringify(settings));
    addEventListener('securitypolicyviolation', (event) => {
      (globalThis.violations ??= []).push(`${event.violatedDirective} ${event.blockedURI}`);
    });
  }, settings);
  await page.goto(server.home);
  return page;
}

export const downloadButton = (page) => page.getByRole('button', { name: /^Download .* and start$/ });
export const field = (page) => page.getByRole('textbox', { name: 'Your message' });
export const answers = (page) => page.locator('article.answer:not(.running)');
export const running = (page) => page.locator('article.answer.running');

/** The first visit: the model is downloaded. */
export async function downloadModel(page) {
  await downloadButton(page).click();
  await modelIsOpen(page);
}

export async function modelIsOpen(page) {
  await page.locator('.model-button.ready').waitFor({ timeout: 60_000 });
}

/** The service worker has every file of the page, and the page has been loaded under it where that gives threads. */
export async function worksOffline(page) {
  await page.getByText('works offline too').waitFor({ timeout: 60_000 });
}

/** Asks, waits for the end, and gives the answer's text with its spaces evened out, as HTML does. */
export async function ask(page, text) {
  const before = await answers(page).count();
  await field(page).fill(text);
  await field(page).press('Enter');
  await answers(page).nth(before).waitFor({ timeout: 60_000 });
  await running(page).waitFor({ state: 'detached', timeout: 60_000 });
  return evened(await answers(page).nth(before).locator('.markdown').innerText());
}

export const evened = (text) => text.replaceAll(/\s+/g, ' ').trim();

/** What the terminal answers to this first question. */
export async function nativeAnswer(model, prompt, tokens = 40) {
  const output = await linnet('run', model, '--chat', '--prompt', prompt, '--temperature', '0', '-n', String(tokens), '--json');
  return evened(JSON.parse(output).text);
}

export async function openSettings(page) {
  await page.getByRole('button', { name: 'Settings' }).click();
  await page.getByRole('dialog', { name: 'Settings' }).waitFor();
}

export async function openModels(page) {
  await page.getByRole('button', { name: 'Models', exact: true }).click();
  await page.getByRole('dialog', { name: 'Models' }).waitFor();
}

export const closeDialog = (page) => page.keyboard.press('Escape');
