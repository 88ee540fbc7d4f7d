// The page with a model that may take less memory than it needs: the ceiling in the settings, what it comes to, what is shown.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch } from './lib/chromium.mjs';
import { chat } from './lib/models.mjs';
import {
  ask,
  closeDialog,
  downloadModel,
  modelIsOpen,
  nativeAnswer,
  openModels,
  openPage,
  openSettings,
  startPage,
} from './lib/page.mjs';

const QUESTION = 'What is the capital of France?';
let server, browser, page;

before(async () => {
  browser = await launch();
  server = await startPage({ model: chat(), isolated: true });
  page = await openPage(browser, server);
  await downloadModel(page);
});
after(async () => {
  await browser?.close();
  await server?.close();
});

test('a ceiling: what it comes to is said before, and the answer is the same', async () => {
  await openSettings(page);
  const settings = page.getByRole('dialog', { name: 'Settings' });
  assert.match(await settings.locator('.plan').innerText(), /all in memory/);
  const ceiling = page.getByRole('spinbutton', { name: 'Memory, MB' });
  assert.match(await settings.locator('#setting-memory-hint').innerText(), /read from this device’s storage for each word/);

  await ceiling.fill('1');
  await settings.locator('.hint.bad').waitFor();
  assert.match(await settings.locator('.hint.bad').innerText(), /^[A-Z].*\d.*\.$/s);

  await ceiling.fill('8');
  await settings.locator('.plan', { hasText: 'Read for each token' }).waitFor();
  assert.match(await settings.locator('.plan').innerText(), /Weights in memory\s+[\d.]+ .B of 11 MB/);
  await settings.locator('.plan', { hasText: 'Speed on this device' }).waitFor();
  await page.getByRole('button', { name: 'Open it anew' }).click();
  await closeDialog(page);
  await modelIsOpen(page);

  assert.equal(await ask(page, QUESTION), await nativeAnswer(chat(), QUESTION));
  await page.locator('.status', { hasText: /B read a step/ }).waitFor();
  await openModels(page);
  const plan = await page.getByRole('dialog', { name: 'Models' }).locator('.plan').innerText();
  assert.match(plan, /Read for each token\s+[\d.]+ MB/);
  assert.match(plan, /Speed on this device\s+about [\d.]+ tokens\/s/);
  await closeDialog(page);
});

test('a button is not grey when the look changes', async () => {
  const during = await page.evaluate(() => {
    const button = document.querySelector('.conversations .button');
    document.documentElement.dataset.theme = 'light';
    const light = getComputedStyle(button).backgroundColor;
    document.documentElement.dataset.theme = 'dark';
    const dark = getComputedStyle(button).backgroundColor;
    return { light, dark, moving: button.getAnimations().length };
  });
  assert.deepEqual(during, { light: 'rgb(255, 253, 250)', dark: 'rgb(33, 29, 26)', moving: 0 });
});
