// Serves the built page on this machine, with a model beside it: node serve.mjs [--model FILE --name TEXT --license TEXT
// --description TEXT] [--port N]. The server is Vite's own for built sites: ranges, large files, the isolation headers of
// vite.config.ts.
import { existsSync, mkdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { preview } from 'vite';

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    name: { type: 'string' },
    license: { type: 'string' },
    description: { type: 'string' },
    port: { type: 'string' },
  },
});
const root = fileURLToPath(new URL('.', import.meta.url));
const folder = resolve(root, process.env.LINNET_PAGE_OUT ?? '../build/web_demo');

function fail(sentence) {
  console.error(sentence);
  process.exit(1);
}

if (!existsSync(join(folder, 'index.html'))) fail(`The page is not built: there is no ${join(folder, 'index.html')}.`);

// The model stands beside the page as a link: nothing is copied. models.json says that the page offers it.
rmSync(join(folder, 'models'), { recursive: true, force: true });
rmSync(join(folder, 'models.json'), { force: true });
if (values.model !== undefined) {
  const file = resolve(values.model);
  const url = `models/${basename(file)}`;
  mkdirSync(join(folder, 'models'));
  symlinkSync(file, join(folder, url));
  const { name = basename(file).replace(/\.\w+$/, ''), license = '', description = '' } = values;
  const offered = [{ name, url: encodeURI(url), bytes: statSync(file).size, license, description }];
  writeFileSync(join(folder, 'models.json'), JSON.stringify(offered, null, 2));
}

const wanted = values.port;
let server;
try {
  server = await preview({
    root,
    configFile: join(root, 'vite.config.ts'),
    logLevel: 'error',
    // A port that was named is meant; without one, the next that is free will do.
    preview: { port: Number(wanted ?? 4173), strictPort: wanted !== undefined, host: 'localhost', open: false },
  });
} catch (error) {
  const taken = error?.code === 'EADDRINUSE' || /in use/i.test(error?.message ?? '');
  fail(taken ? `Port ${wanted} is in use: name another with --port.` : `The page cannot be served: ${error.message}`);
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.once(signal, () => {
    console.error('\nThe page is not served any more. In a browser that has opened it, it goes on without.');
    server.httpServer.closeAllConnections?.();
    server.httpServer.close(() => process.exit(0));
    setTimeout(() => process.exit(0), 1000).unref();
  });
}

const { port } = server.httpServer.address();
console.error('\nThe chat page is at\n');
console.log(`    http://localhost:${port}/`);
console.error('\nOpen it in a browser on this machine. Ctrl-C ends the server.');
