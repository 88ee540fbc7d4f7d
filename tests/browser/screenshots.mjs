// Pictures of the page into build/screenshots: node tests/browser/screenshots.mjs [MODEL.linnet]. With a real chat model they show a real
// conversation; without one, the tests' own, which says letters.
import { mkdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { launch } from './lib/chromium.mjs';
import { chat, root } from './lib/models.mjs';
import { answers, ask, downloadButton, modelIsOpen, openModels, openPage, openSettings, startPage } from './lib/page.mjs';

const QUESTIONS = ['What is the capital of France?', 'What can I see there in three days? Please answer with a short list.'];
const model = process.argv[2] ?? chat();
const name = /tinyllama/i.test(basename(model)) ? 'TinyLlama 1.1B Chat' : basename(model).replace(/\.\w+$/, '');
const folder = join(root, 'build/screenshots');
mkdirSync(folder, { recursive: true });

const server = await startPage({
  model,
  name,
  isolated: true,
  license: 'Apache-2.0',
  description: 'A small model that chats in English.',
});
try {
  for (const [look, context] of [
    ['wide', { viewport: { width: 1280, height: 800 }, colorScheme: 'light', deviceScaleFactor: 2 }],
    ['wide-dark', { viewport: { width: 1280, height: 800 }, colorScheme: 'dark', deviceScaleFactor: 2 }],
    [
      'phone',
      { viewport: { width: 390, height: 844 }, colorScheme: 'light', deviceScaleFactor: 2, isMobile: true, hasTouch: true },
    ],
  ]) {
    const browser = await launch({ context });
    try {
      const page = await openPage(browser, server, { temperature: 0, maxTokens: 160 });
      const picture = async (what) => {
        await page.waitForTimeout(400);
        await page.screenshot({ path: join(folder, `${look}-${what}.png`) });
      };
      await downloadButton(page).waitFor();
      await picture('first-run');
      server.fault(server.model, { bytesPerSecond: Math.max(1e6, statSync(model).size / 24) });
      await downloadButton(page).click();
      await page.waitForFunction(
        () => document.querySelector('progress')?.value / document.querySelector('progress').max > 0.3,
      );
      await picture('download');
      server.fault(server.model);
      await modelIsOpen(page);
      for (const question of QUESTIONS) {
        await ask(page, question);
        await answers(page).last().waitFor();
      }
      await picture('chat');
      const drawer = async () => context.isMobile && (await page.getByRole('button', { name: 'Conversations' }).click());
      await drawer();
      if (context.isMobile) await picture('conversations');
      await openSettings(page);
      await picture('settings');
      await page.keyboard.press('Escape');
      await drawer();
      await openModels(page);
      await picture('models');
    } finally {
      await browser.close();
    }
  }
} finally {
  await server.close();
}
console.error(`The pictures are in ${folder}.`);
