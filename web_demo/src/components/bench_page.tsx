// The speed page: what to measure, and what was found, as a table, a picture and JSON.
import { useRef } from 'preact/hooks';
import type { BenchReport, BenchResult, BenchRow } from 'linnet';
import * as format from '../lib/format.js';
import { download } from '../lib/transfer.js';
import * as bench from '../state/bench.js';
import { libraryRead } from '../state/library.js';
import { Button, CopyButton, Field, FileField, NumberField } from './controls.js';
import { Bird } from './icon.js';
import { Notices } from './notices.js';

const figure = (value: number): string => {
  const digits = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
};
const time = (seconds: number): string => (seconds < 0.0995 ? `${figure(seconds * 1e3)} ms` : `${figure(seconds)} s`);

function Choice() {
  const chooser = useRef<HTMLInputElement>(null);
  const file = bench.file.value;
  const models = bench.measurable.value;
  const isRunning = bench.state.value.kind === 'running';
  return (
    <>
      {models.length > 0 && (
        <Field id="bench-model" label="Model">
          <select
            id="bench-model"
            disabled={isRunning || file !== undefined}
            value={bench.chosenUrl.value || models[0]?.url}
            onChange={(event) => (bench.chosenUrl.value = event.currentTarget.value)}
          >
            {models.map((model) => (
              <option key={model.url} value={model.url}>
                {model.name} ({format.bytes(model.stored?.bytes ?? 0)})
              </option>
            ))}
          </select>
        </Field>
      )}
      {libraryRead.value && models.length === 0 && file === undefined && (
        <p>
          No model is stored here yet. Choose a .linnet file, or get a model on the <a href="./">chat page</a>.
        </p>
      )}
      <div class="row">
        <Button icon="file" disabled={isRunning} onClick={() => chooser.current?.click()}>
          {file === undefined ? 'Measure a file of this device' : file.name}
        </Button>
        {file !== undefined && models.length > 0 && (
          <Button kind="quiet" disabled={isRunning} onClick={() => (bench.file.value = undefined)}>
            A stored model instead
          </Button>
        )}
        <FileField chooser={chooser} accept=".linnet" label="Model file" onFile={(chosen) => (bench.file.value = chosen)} />
      </div>
    </>
  );
}

function Lengths() {
  const wrong = bench.lengthsOf(bench.prompts.value) === undefined;
  return (
    <div class="grid">
      <Field
        id="bench-prompts"
        label="Lengths of the prompt"
        hint={wrong ? 'Whole numbers of tokens, with commas between.' : 'Tokens, with commas between; 0: none.'}
      >
        <input
          id="bench-prompts"
          type="text"
          inputMode="numeric"
          autocomplete="off"
          value={bench.prompts.value}
          aria-invalid={wrong}
          aria-describedby="bench-prompts-hint"
          onInput={(event) => (bench.prompts.value = event.currentTarget.value)}
        />
      </Field>
      <NumberField
        id="bench-decode"
        label="Decoded tokens"
        hint="After each prompt, one by one."
        value={bench.decode.value}
        min={1}
        max={4096}
        step={1}
        onChange={(value) => (bench.decode.value = value ?? 32)}
      />
      <NumberField
        id="bench-threads"
        label="Threads"
        hint={bench.most === 1 ? 'This page may use one.' : `1 to ${bench.most}.`}
        value={bench.threads.value}
        min={1}
        max={bench.most}
        step={1}
        onChange={(value) => (bench.threads.value = value ?? bench.most)}
      />
    </div>
  );
}

function Run() {
  const state = bench.state.value;
  if (state.kind === 'running') {
    const text = state.stopping ? 'Stopping …' : state.phase === 'start' ? 'Opening the model …' : 'Measuring …';
    return (
      <div class="load">
        <progress aria-label="Progress" max={1} value={state.done} />
        <div class="load-line">
          <span class="figures" role="status">
            {text}
          </span>
          <Button icon="stop" onClick={bench.stop} disabled={state.stopping}>
            Stop
          </Button>
        </div>
      </div>
    );
  }
  const ready = bench.source.value !== undefined && bench.lengthsOf(bench.prompts.value) !== undefined;
  return (
    <>
      <div class="row">
        <Button kind="primary" disabled={!ready} onClick={() => void bench.start()}>
          Measure
        </Button>
        <p class="hint">Takes some ten seconds to some minutes. Close what else is busy on this device.</p>
      </div>
      {state.kind === 'stopped' && <p role="status">Stopped. Nothing was measured.</p>}
      {state.kind === 'failed' && (
        <p class="hint bad" role="alert">
          {state.text}
        </p>
      )}
    </>
  );
}

function Row({ name, row }: { name: string; row: BenchRow }) {
  return (
    <tr>
      <th scope="row">{name}</th>
      <td>{figure(row.tokens_per_second)}</td>
      <td>
        {figure(row.least)} to {figure(row.most)}
      </td>
      <td>{figure(row.bytes_per_second / 1e9)}</td>
      <td>{figure(row.macs_per_second / 1e9)}</td>
      <td>
        {format.number(row.share_of_bound * 100)} % ({row.bound})
      </td>
    </tr>
  );
}

function facts(report: BenchReport): [string, string][] {
  const { load } = report;
  return [
    ['Kernels', `${report.kernels}, ${format.count(report.threads, 'thread')} of ${report.machine.cores}`],
    [
      'Read ceiling',
      `${figure(report.read_ceiling_bytes_per_second / 1e9)} GB/s, at best ${figure(report.read_ceiling_most_bytes_per_second / 1e9)}, ` +
        (report.read_ceiling_of === 'weights' ? 'of the weights' : `of a buffer of ${format.bytes(report.read_ceiling_bytes)}`),
    ],
    [
      'Dot ceiling',
      `${figure(report.dot_ceiling_macs_per_second / 1e9)} GMAC/s from the cache, ` +
        `${figure(report.dot_ceiling_one_token_macs_per_second / 1e9)} with one token at a time`,
    ],
    ['Weights read', `${format.bytes(report.weight_bytes_per_token)} a token`],
    [
      'First token',
      `${time(load.cold_first_token_seconds)} from the first start, ${time(load.cached_first_token_seconds)} from the next`,
    ],
    [
      'Storage',
      `${figure(load.storage_bytes_per_second / 1e9)} GB/s read, ` +
        `${time(load.file_bytes / Math.max(1, load.storage_bytes_per_second))} for the file of ${format.bytes(load.file_bytes)}`,
    ],
    ['Memory', `${format.bytes(report.peak_bytes)} of WebAssembly`],
  ];
}

function Result({ result: { report, plot } }: { result: BenchResult }) {
  const json = `${JSON.stringify(report, null, 2)}\n`;
  const summary = report.decode.map((row) => `${figure(row.tokens_per_second)} tokens a second after ${row.after}`).join(', ');
  return (
    <section class="bench-result" aria-label="Result">
      <h2>{report.model}</h2>
      <p class="hint" role="status">
        Medians of {format.count(report.rounds, 'round')}. The share is of the lowest limit.
      </p>
      <div class="bench-scroll" role="region" aria-label="Table of the result" tabIndex={0}>
        <table>
          <thead>
            <tr>
              <td />
              {['tokens/s', 'least to most', 'GB/s', 'GMAC/s', 'of the limit'].map((name) => (
                <th key={name} scope="col">
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {report.prefill.map((row) => (
              <Row key={`p${row.tokens}`} name={`Prefill ${row.tokens}`} row={row} />
            ))}
            {report.decode.map((row) => (
              <Row key={`d${row.after}`} name={`Decode after ${row.after}`} row={row} />
            ))}
          </tbody>
        </table>
      </div>
      <dl class="plan">
        {facts(report).map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <img
        class="bench-plot"
        src={`data:image/svg+xml;charset=utf-8,${encodeURIComponent(plot)}`}
        alt={`Picture of the table: prefill and decode with both limits. Decode: ${summary || 'not measured'}.`}
      />
      <div class="row">
        <CopyButton text={() => json} label="Copy JSON" wide />
        <Button icon="download" onClick={() => download('linnet-bench.json', 'application/json', json)}>
          Download JSON
        </Button>
        <Button icon="download" onClick={() => download('linnet-bench.svg', 'image/svg+xml', plot)}>
          Download SVG
        </Button>
      </div>
    </section>
  );
}

export function BenchPage() {
  const state = bench.state.value;
  return (
    <div class="bench">
      <header class="bench-head">
        <a class="brand" href="./">
          <Bird />
          <span>Linnet</span>
        </a>
      </header>
      <main class="bench-main">
        <h1>Speed on this device</h1>
        <p>
          How fast a model reads a prompt and answers in this browser, and what part that is of the most that this machine can
          read from memory and multiply. Nothing leaves this device.
        </p>
        <Choice />
        <Lengths />
        <Run />
        {state.kind === 'done' && <Result result={state.result} />}
      </main>
      <Notices />
    </div>
  );
}
