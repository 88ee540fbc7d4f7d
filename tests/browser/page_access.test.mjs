// The page without a mouse, and for those who do not see it: keyboard alone, and axe on every view, light and dark.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { findings } from './lib/axe.mjs';
import { launch } from './lib/chromium.mjs';
import { chat, slow } from './lib/models.mjs';
import {
  answers,
  ask,
  downloadButton,
  downloadModel,
  field,
  openModels,
  openPage,
  openSettings,
  running,
  startPage,
} from './lib/page.mjs';

for (const colorScheme of ['light', 'dark']) {
  for (const [width, height] of [
    [1280, 800],
    [360, 640],
  ]) {
    describe(`axe, ${colorScheme}, ${width} pixels wide`, () => {
      let browser, server, page;
      const phone = width < 600;
      before(async () => {
        browser = await launch({ context: { viewport: { width, height }, colorScheme, reducedMotion: 'reduce' } });
        server = await startPage({ model: chat(), isolated: true });
        page = await openPage(browser, server);
      });
      after(async () => {
        await browser?.close();
        await server?.close();
      });
      const isClean = async (what) => assert.deepEqual(await findings(page), [], what);
      const fromDrawer = async () => phone && (await page.getByRole('button', { name: 'Conversations' }).click());

      test('first run, loading, chat, settings, models', async () => {
        await downloadButton(page).waitFor();
        await isClean('first run');
        server.fault(server.model, { bytesPerSecond: 1e6 });
        await downloadButton(page).click();
        await page.getByText(/^Downloading/).waitFor();
        await isClean('loading');
        server.fault(server.model);
        await page.locator('.model-button.ready').waitFor({ timeout: 60_000 });
        await isClean('ready');
        await ask(page, 'Hello');
        await isClean('a conversation');
        await fromDrawer();
        if (phone) {
          await page.getByRole('dialog', { name: 'Conversations' }).waitFor();
          await isClean('conversations');
        }
        await openSettings(page);
        await isClean('settings');
        await page.keyboard.press('Escape');
        await fromDrawer();
        await openModels(page);
        await isClean('models');
        await page.keyboard.press('Escape');
        await fromDrawer();
        await page
          .getByRole('button', { name: /^More for/ })
          .first()
          .click();
        await page.getByRole('menu').waitFor();
        await isClean('a menu');
      });

      test('a problem', async () => {
        await page.reload();
        await page.locator('.model-button.ready').waitFor({ timeout: 60_000 });
        await fromDrawer();
        await openModels(page);
        await page.getByLabel('Address of a .linnet or .gguf file').fill(server.url('/nothing.linnet'));
        await page.keyboard.press('Enter');
        await page.getByRole('group', { name: 'Problem' }).first().waitFor();
        await isClean('a problem');
      });
    });
  }
}

describe('keyboard alone', () => {
  let browser, server, page;
  before(async () => {
    browser = await launch();
    server = await startPage({ model: slow(), isolated: true });
    page = await openPage(browser, server, { temperature: 0, maxTokens: 300 });
  });
  after(async () => {
    await browser?.close();
    await server?.close();
  });

  /** Presses Tab until what has the focus is so named. */
  async function tabTo(name, { back = false } = {}) {
    const seen = [];
    for (let steps = 0; steps < 60; steps++) {
      await page.keyboard.press(back ? 'Shift+Tab' : 'Tab');
      const focused = await page.evaluate(() => {
        const element = document.activeElement;
        const label = element?.labels?.[0]?.textContent ?? '';
        const box = element?.getBoundingClientRect();
        return {
          name: (element?.getAttribute('aria-label') || label || element?.textContent || '').trim(),
          visible: !!box && box.width > 0 && box.height > 0,
        };
      });
      if (focused.name.match(name)) {
        assert.ok(focused.visible, `${focused.name} can be seen`);
        return;
      }
      seen.push(focused.name);
    }
    assert.fail(`Tab never comes to ${name}: ${seen.join(' | ')}`);
  }

  test('download, ask, stop, another conversation, back, settings, models', async () => {
    await downloadButton(page).waitFor();
    await tabTo(/^Download .* and start/);
    await page.keyboard.press('Enter');
    await page.locator('.model-button.ready').waitFor({ timeout: 90_000 });

    await tabTo(/^Your message/);
    await page.keyboard.type('Hello');
    await page.keyboard.press('Shift+Enter');
    await page.keyboard.type('there');
    assert.equal(await field(page).inputValue(), 'Hello\nthere');
    await page.keyboard.press('Enter');
    await running(page).waitFor();
    await page.waitForFunction(() => document.querySelector('article.running .markdown')?.textContent.length > 6);
    await tabTo(/^Stop$/);
    await page.keyboard.press('Enter');
    await running(page).waitFor({ state: 'detached' });
    await page.getByText('Stopped.').waitFor();

    await tabTo(/^New chat/, { back: true });
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => document.querySelectorAll('article').length === 0);
    await tabTo(/^Your message/);
    await page.keyboard.type('Second');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => document.querySelector('article.running .markdown')?.textContent.length > 0);
    await page.keyboard.press('Escape');
    await running(page).waitFor({ state: 'detached' });
    assert.equal(await answers(page).count(), 1);

    await tabTo(/^Hello/, { back: true });
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => document.querySelector('article.question')?.textContent.includes('Hello'));

    await tabTo(/Settings$/);
    await page.keyboard.press('Enter');
    const settings = page.getByRole('dialog', { name: 'Settings' });
    await settings.waitFor();
    await tabTo(/^Temperature/);
    await page.keyboard.press('Control+A');
    await page.keyboard.type('0.5');
    // The focus stays in the dialog.
    for (let steps = 0; steps < 40; steps++) {
      await page.keyboard.press('Tab');
      const inside = await page.evaluate(
        () => document.activeElement === document.body || !!document.activeElement.closest('dialog'),
      );
      assert.ok(inside, 'the focus left the dialog');
    }
    await page.keyboard.press('Escape');
    await settings.waitFor({ state: 'detached' });
    assert.match(await page.evaluate(() => document.activeElement.textContent), /Settings/);
    assert.equal(await page.evaluate(() => JSON.parse(localStorage.getItem('linnet-settings')).temperature), 0.5);

    await tabTo(/Models$/, { back: true });
    await page.keyboard.press('Enter');
    await page.getByRole('dialog', { name: 'Models' }).waitFor();
    await tabTo(/^Close Parrot/);
    await page.keyboard.press('Escape');
    await page.getByRole('dialog', { name: 'Models' }).waitFor({ state: 'detached' });

    await tabTo(/^More for “Second”/, { back: true });
    await page.keyboard.press('Enter');
    await page.getByRole('menu').waitFor();
    for (let steps = 0; steps < 3; steps++) await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => document.querySelectorAll('nav a').length === 1);
  });
});
