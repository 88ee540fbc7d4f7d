// The model manager: what the site offers, what is stored, and where else a model may come from.
import * as format from '../lib/format.js';
import {
  cancelVerify,
  deleteModel,
  library,
  libraryProblem,
  storage,
  verification,
  verify,
  type ListedModel,
} from '../state/library.js';
import { choice, load, modelState, unload, urlChoice } from '../state/model.js';
import { show } from '../state/screen.js';
import { Button } from './controls.js';
import { Dialog } from './dialog.js';
import { LoadProgress, ProgressBar, progressText } from './load_progress.js';
import { ModelChooser } from './model_chooser.js';
import { PlanFigures } from './plan.js';
import { ProblemNote } from './problem.js';

function stateOf(model: ListedModel, open: boolean): string {
  if (open) return 'In use';
  if (!model.stored) return model.bytes ? `${format.bytes(model.bytes)} to download` : 'Not downloaded';
  if (model.stored.complete) return `Stored, ${format.bytes(model.stored.bytes)}`;
  const { bytes, totalBytes } = model.stored;
  return totalBytes
    ? `${format.percent(bytes, totalBytes)} % of ${format.bytes(totalBytes)} stored`
    : `${format.bytes(bytes)} stored`;
}

function Checked({ url }: { url: string }) {
  const check = verification.value;
  if (check?.url !== url) return null;
  if (check.result !== undefined) {
    return (
      <p class={check.ok ? 'hint good' : 'hint bad'} role="status">
        {check.result}
      </p>
    );
  }
  return (
    <div class="load">
      <ProgressBar progress={check.progress} label="Checking" />
      <div class="load-line">
        <span class="figures">{progressText(check.progress)}</span>
        <Button kind="quiet" onClick={cancelVerify}>
          Cancel
        </Button>
      </div>
    </div>
  );
}

function Line({ model }: { model: ListedModel }) {
  const state = modelState.value;
  const mine = state.kind !== 'none' && state.choice.kind === 'url' && state.choice.url === model.url;
  const open = mine && state.kind === 'ready';
  const loading = mine && state.kind === 'loading';
  const start = (): void => void load(urlChoice(model.url));
  return (
    <li class="model" aria-label={model.name}>
      <div class="model-head">
        <h3>{model.name}</h3>
        <span class={open ? 'badge in-use' : 'badge'}>{stateOf(model, open)}</span>
      </div>
      {model.description && <p>{model.description}</p>}
      <p class="hint address">
        {model.license && `${model.license} · `}
        {model.url}
      </p>
      {loading && <LoadProgress progress={state.progress} name={model.name} />}
      {mine && state.kind === 'failed' && (
        <ProblemNote problem={{ ...state.problem, remedies: ['retry', 'settings'] }} onRetry={start} />
      )}
      {open && <PlanFigures plan={state.model.plan} />}
      <Checked url={model.url} />
      {!loading && (
        <div class="row">
          {!open && (
            <Button kind="primary" onClick={start} label={`${model.stored ? 'Use' : 'Download'} ${model.name}`}>
              {!model.stored ? 'Download' : model.stored.complete ? 'Use' : 'Go on'}
            </Button>
          )}
          {open && (
            <Button onClick={unload} label={`Close ${model.name}`}>
              Close
            </Button>
          )}
          {model.stored?.complete && (
            <Button onClick={() => verify(model.url)} label={`Check ${model.name}`}>
              Check
            </Button>
          )}
          {model.stored && (
            <Button
              kind="danger"
              label={`Delete ${model.name}`}
              onClick={async () => {
                if (mine) await unload();
                await deleteModel(model.url);
              }}
            >
              Delete
            </Button>
          )}
        </div>
      )}
    </li>
  );
}

function Storage() {
  const known = storage.value;
  if (!known) return null;
  const { usedBytes, freeBytes, persistent } = known;
  return (
    <div class="storage">
      <meter aria-label="Storage used by models" min={0} max={Math.max(1, usedBytes + freeBytes)} value={usedBytes} />
      <p class="hint">
        {format.bytes(usedBytes)} used by models, {format.bytes(freeBytes)} free for this site.{' '}
        {persistent
          ? 'The browser keeps them until you delete them.'
          : 'The browser may clear them when the disk gets full; it can be asked to keep them by installing this page or adding a bookmark.'}
      </p>
    </div>
  );
}

export function ModelsDialog() {
  const models = library.value;
  const state = modelState.value;
  const elsewhere =
    state.kind !== 'none' && !models.some((each) => state.choice.kind === 'url' && each.url === state.choice.url);
  return (
    <Dialog title="Models" onClose={() => show('')} class="models">
      <Storage />
      {libraryProblem.value && <p class="hint bad">{libraryProblem.value}</p>}
      <ul class="model-list">
        {elsewhere && (
          <li class="model" aria-label={state.choice.name}>
            <div class="model-head">
              <h3>{state.choice.name}</h3>
              {state.kind === 'ready' && <span class="badge in-use">In use</span>}
            </div>
            <p class="hint address">{state.choice.kind === 'url' ? state.choice.url : 'A file on this device'}</p>
            {state.kind === 'loading' && <LoadProgress progress={state.progress} name={state.choice.name} />}
            {state.kind === 'failed' && (
              <ProblemNote problem={{ ...state.problem, remedies: ['retry', 'settings'] }} onRetry={() => load(state.choice)} />
            )}
            {state.kind === 'ready' && (
              <>
                <PlanFigures plan={state.model.plan} />
                <div class="row">
                  <Button onClick={unload} label={`Close ${state.choice.name}`}>
                    Close
                  </Button>
                </div>
              </>
            )}
          </li>
        )}
        {models.map((model) => (
          <Line key={model.url} model={model} />
        ))}
      </ul>
      {models.length === 0 && !elsewhere && choice.value === undefined && <p>No model is here yet.</p>}
      <h3 class="section">Another model</h3>
      <ModelChooser />
    </Dialog>
  );
}
