// Runs the browser tests: node tests/browser/run.mjs [FILE...] [--name=PATTERN]. Ends with "passed failed skipped" on standard
// output; everything else goes to standard error.
import { readdirSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';

const here = dirname(fileURLToPath(import.meta.url));
const args = process.argv.slice(2);
const patterns = args.filter((one) => one.startsWith('--name=')).map((one) => one.slice('--name='.length));
let files = args.filter((one) => !one.startsWith('--')).map((one) => resolve(one));
if (files.length === 0) {
  files = readdirSync(here)
    .filter((name) => name.endsWith('.test.mjs'))
    .sort()
    .map((name) => join(here, name));
}

// What is measured in milliseconds, or in bytes of memory, has the machine to itself. The others wait for servers most of the time
// and go two by two.
const alone = ['api', 'download', 'memory', 'page_stop', 'stop', 'store', 'store_load', 'store_tabs'];
const isAlone = (file) => alone.includes(basename(file, '.test.mjs'));

const counts = { passed: 0, failed: 0, skipped: 0 };
const leaf = (event) => event.details?.type !== 'suite' && event.name !== event.file && !files.includes(event.name);

async function runFiles(some, concurrency) {
  if (some.length === 0) return;
  const stream = run({ files: some, concurrency, timeout: 600_000, ...(patterns.length && { testNamePatterns: patterns }) });
  stream.on('test:pass', (event) => {
    if (!leaf(event)) return;
    if (event.skip !== undefined) {
      // Left out by --name is no skipped test.
      if (!patterns.length || event.skip !== 'test name does not match pattern') counts.skipped++;
    } else counts.passed++;
  });
  stream.on('test:fail', (event) => {
    if (leaf(event) || event.details?.error?.failureType === 'testCodeFailure') counts.failed++;
  });
  const report = stream.compose(spec);
  report.pipe(process.stderr, { end: false });
  await new Promise((done, failed) => {
    report.on('end', done);
    report.on('error', failed);
  });
}

await runFiles(
  files.filter((file) => !isAlone(file)),
  2,
);
await runFiles(files.filter(isAlone), 1);
process.stdout.write(`${counts.passed} ${counts.failed} ${counts.skipped}\n`);
process.exitCode = counts.failed > 0 || counts.passed + counts.skipped === 0 ? 1 : 0;
