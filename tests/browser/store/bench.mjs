// How fast models are stored: the store (verified, resumable) beside a plain fetch and write of the same bytes.
//     node tests/browser/store/bench.mjs [--megabytes=200] [--connections=1,4]
// The browser is started without its debugger, which keeps a copy of each answer and delays its end.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { findChromium, profileFolder } from '../lib/chromium.mjs';
import { startServer } from '../lib/server.mjs';
import { bundle, here } from './harness.mjs';
import { makeModel } from './model.mjs';

const option = (name, otherwise) => process.argv.find((one) => one.startsWith(`--${name}=`))?.split('=')[1] ?? otherwise;
const megabytes = Number(option('megabytes', 200));
const connections = option('connections', '1,4').split(',').map(Number);
const rounds = 3;

const name = randomBytes(8).toString('hex');
const SCRIPT = `
const url = location.origin + '/model';
const seconds = { plain: [] };
const timed = async (what, run) => {
  const begun = performance.now();
  await run();
  (seconds[what] ??= []).push((performance.now() - begun) / 1000);
};
for (let round = 0; round < ${rounds}; ++round) {
  await timed('plain', () => store.call('plain', url));
  for (const connections of ${JSON.stringify(connections)}) {
    let opened;
    await timed(connections + ' connections', async () => {
      const { value, error } = await store.call('obtain', url, connections);
      if (error) throw new Error(error.message);
      opened = value.opened;
    });
    await store.call('close', opened);
    await store.call('delete', url);
  }
}
await fetch('/csp-reports', { method: 'POST', body: JSON.stringify(seconds) });
`;
const model = makeModel(megabytes * 1_000_000);
const server = await startServer();
server
  .file('/worker.js', await bundle())
  .file('/model', model.bytes)
  .file(
    `/${name}.html`,
    Buffer.from('<!doctype html><script type="module" src="page.js"></script><script type="module" src="bench.js"></script>'),
  )
  .file('/bench.js', Buffer.from(SCRIPT))
  .folder('/', here);
const args = ['--headless', '--no-sandbox', '--disable-gpu', `--user-data-dir=${profileFolder()}`, server.url(`/${name}.html`)];
const browser = spawn(findChromium(), args, { stdio: 'ignore' });
try {
  for (let wait = 0; wait < 300 && server.violations.length === 0; ++wait) await new Promise((done) => setTimeout(done, 1000));
  if (server.violations.length === 0) throw new Error('The browser did not finish.');
  for (const [what, seconds] of Object.entries(JSON.parse(server.violations[0]))) {
    const median = seconds.sort((one, other) => one - other)[Math.floor(seconds.length / 2)];
    console.log(`${what.padEnd(16)} ${(model.bytes.length / 1e6 / median).toFixed(0).padStart(5)} MB/s (median of ${rounds})`);
  }
} finally {
  browser.kill('SIGKILL');
  await server.close();
}
process.exit();
