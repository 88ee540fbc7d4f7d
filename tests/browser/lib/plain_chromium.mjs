// Headless Chromium without playwright, for measuring memory: playwright listens to the network, and a browser that is listened to
// keeps up to 100 MB of what a page downloads in the page's own process, to show it to the listener.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Browser, findChromium, profileFolder } from './chromium.mjs';

class Connection {
  #socket;
  #last = 0;
  #waiting = new Map();

  static async open(address) {
    const connection = new Connection();
    connection.#socket = new WebSocket(address);
    connection.#socket.addEventListener('message', ({ data }) => connection.#receive(JSON.parse(data)));
    await once(connection.#socket, 'open');
    return connection;
  }

  #receive({ id, result, error }) {
    const { done, failed } = this.#waiting.get(id) ?? {};
    this.#waiting.delete(id);
    if (error) failed?.(new Error(error.message));
    else done?.(result);
  }

  send(method, params = {}, sessionId = undefined) {
    const id = ++this.#last;
    return new Promise((done, failed) => {
      this.#waiting.set(id, { done, failed });
      this.#socket.send(JSON.stringify({ id, method, params, sessionId }));
    });
  }
}

/** A tab of a browser of its own: evaluate(), and the memory of its renderer. */
export async function launchPlain(url) {
  const profile = profileFolder();
  const args = [
    `--user-data-dir=${profile}`,
    '--headless',
    '--remote-debugging-port=0',
    '--no-first-run',
    '--disable-dev-shm-usage',
  ];
  if (process.getuid?.() === 0) args.push('--no-sandbox');
  const child = spawn(findChromium(), [...args, 'about:blank'], { stdio: ['ignore', 'ignore', 'pipe'] });
  const address = await new Promise((found, failed) => {
    let said = '';
    child.stderr.on('data', (part) => {
      said += part;
      const match = /DevTools listening on (ws:\S+)/.exec(said);
      if (match) found(match[1]);
    });
    child.once('exit', () => failed(new Error(`Chromium did not start: ${said}`)));
  });
  const connection = await Connection.open(address);
  const { targetId } = await connection.send('Target.createTarget', { url });
  const { sessionId } = await connection.send('Target.attachToTarget', { targetId, flatten: true });
  const browser = new Browser(null, profile, true);
  /** The value, waited for, of a function that is called in the page with one argument. */
  const evaluate = async (call, argument = null) => {
    const { result, exceptionDetails } = await connection.send(
      'Runtime.evaluate',
      { expression: `(${call})(${JSON.stringify(argument)})`, awaitPromise: true, returnByValue: true },
      sessionId,
    );
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  };
  // A new tab has nothing to call in until its page has begun to load.
  for (let tries = 0; !(await evaluate((at) => location.href === at, url).catch(() => false)); tries++) {
    if (tries === 200) throw new Error(`Chromium does not open ${url}.`);
    await new Promise((done) => setTimeout(done, 50));
  }
  return {
    rendererBytes: () => browser.rendererBytes(),
    evaluate,
    async close() {
      const ended = once(child, 'exit');
      await connection.send('Browser.close').catch(() => child.kill());
      await ended;
      await browser.close();
    },
  };
}
