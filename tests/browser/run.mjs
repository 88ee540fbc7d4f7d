// Runs the browser tests: node tests/browser/run.mjs [--timing | --without-timing] [FILE...] [--name=PATTERN]. Ends with
// "passed failed skipped" on standard output; everything else goes to standard error.
import { readFileSync, readdirSync } from 'node:fs';
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

// What is measured, in milliseconds or in bytes of memory, has the machine to itself (--timing); the others wait for servers most of
// the time, go side by side and may share the machine (--without-timing). A test that measures says so in its name: "within 200 ms".
// Of some files that is all of them.
const MEASURES = /within \d+ ms/;
const measuring = ['memory', 'page_stop', 'stop'];
const timing = !args.includes('--without-timing');
const others = !args.includes('--timing');
const SIDE_BY_SIDE = 3;
const measuresOnly = (file) => measuring.includes(basename(file, '.test.mjs'));
const measures = (file) => measuresOnly(file) || MEASURES.test(readFileSync(file, 'utf8'));

const counts = { passed: 0, failed: 0, skipped: 0 };
const leaf = (event) => event.details?.type !== 'suite' && event.name !== event.file && !files.includes(event.name);

async function runFiles(some, concurrency, filter = patterns.length > 0 && { testNamePatterns: patterns }) {
  if (some.length === 0) return;
  const stream = run({ files: some, concurrency, timeout: 600_000, ...filter });
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

if (patterns.length > 0) await runFiles(files, 1);
if (patterns.length === 0 && others) {
  await runFiles(
    files.filter((file) => !measuresOnly(file)),
    SIDE_BY_SIDE,
    { testSkipPatterns: [MEASURES] },
  );
}
if (patterns.length === 0 && timing) {
  await runFiles(files.filter(measuresOnly), 1);
  const some = files.filter((file) => measures(file) && !measuresOnly(file));
  await runFiles(some, 1, { testNamePatterns: [MEASURES] });
}
process.stdout.write(`${counts.passed} ${counts.failed} ${counts.skipped}\n`);
process.exitCode = counts.failed > 0 || counts.passed + counts.skipped === 0 ? 1 : 0;
