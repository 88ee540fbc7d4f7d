// The empty conversation. Without a model: what would be downloaded, how large it is, where it is kept, and one button.
import * as format from '../lib/format.js';
import { ask, canAsk } from '../state/answer.js';
import { library, libraryRead, storage, type ListedModel } from '../state/library.js';
import { choice, choiceIsStored, load, modelState, partlyStored } from '../state/model.js';
import { show } from '../state/screen.js';
import { Button } from './controls.js';
import { Bird, Icon } from './icon.js';
import { LoadProgress } from './load_progress.js';
import { ModelChooser } from './model_chooser.js';
import { ProblemNote } from './problem.js';

const starters = [
  'Explain why the sky is blue to a child of eight',
  'Write a short poem about a small bird in winter',
  'Give me three ideas for a rainy Sunday',
];

function Promises() {
  return (
    <ul class="promises">
      <li>
        <Icon name="lock" />
        <span>
          <b>Private.</b> Nothing you write leaves this device.
        </span>
      </li>
      <li>
        <Icon name="offline" />
        <span>
          <b>Offline.</b> After one download it needs no network.
        </span>
      </li>
      <li>
        <Icon name="trash" />
        <span>
          <b>Yours.</b> Delete the model or a conversation at any time.
        </span>
      </li>
    </ul>
  );
}

function Offer({ model }: { model: ListedModel }) {
  const state = modelState.value;
  const free = storage.value?.freeBytes ?? 0;
  const part = partlyStored.value;
  const left = model.bytes - (part?.bytes ?? 0);
  const tooLarge = free > 0 && left > free;
  return (
    <section class="offer" aria-label="The model">
      <div class="offer-head">
        <h2>{model.name}</h2>
        {model.bytes > 0 && <span class="figures">{format.bytes(model.bytes)}</span>}
      </div>
      {model.description && <p>{model.description}</p>}
      {state.kind === 'loading' ? (
        <LoadProgress progress={state.progress} name={model.name} />
      ) : (
        <>
          {state.kind === 'failed' && <ProblemNote problem={state.problem} onRetry={() => void load(state.choice)} />}
          {state.kind !== 'failed' && (
            <Button kind="primary" icon="download" onClick={() => choice.value && load(choice.value)}>
              {part ? `Go on: ${format.bytes(left)} to download` : `Download ${format.bytes(model.bytes)} and start`}
            </Button>
          )}
          <p class="hint">
            Kept in this browser’s own storage for this site
            {model.license && `. Licence of the model: ${model.license}`}.
            {tooLarge && ` The browser says that only ${format.bytes(free)} are free here.`}
          </p>
        </>
      )}
    </section>
  );
}

export function FirstRun() {
  const state = modelState.value;
  const chosen = choice.value;
  if (!libraryRead.value) return <div class="first-run" aria-busy="true" />;
  const model = library.value.find((each) => chosen?.kind === 'url' && each.url === chosen.url);
  const ready = state.kind === 'ready' || (choiceIsStored.value && state.kind !== 'failed');

  if (ready) {
    return (
      <div class="first-run quiet">
        <Bird />
        <h1>What would you like to know?</h1>
        {state.kind === 'loading' && chosen ? (
          <LoadProgress progress={state.progress} name={chosen.name} />
        ) : (
          <ul class="starters">
            {starters.map((text) => (
              <li key={text}>
                <button type="button" class="starter" disabled={!canAsk.value} onClick={() => ask(text)}>
                  {text}
                </button>
              </li>
            ))}
          </ul>
        )}
      </div>
    );
  }

  return (
    <div class="first-run">
      <Bird />
      <h1>A chat that stays on this device</h1>
      <p class="lead">
        A language model is downloaded once and then answers here, in this browser, with the network off. No account, no server.
      </p>
      {model ? (
        <Offer model={model} />
      ) : state.kind === 'loading' ? (
        <section class="offer" aria-label="The model">
          <div class="offer-head">
            <h2>{state.choice.name}</h2>
          </div>
          <LoadProgress progress={state.progress} name={state.choice.name} />
        </section>
      ) : (
        <section class="offer" aria-label="Choose a model">
          {state.kind === 'failed' && <ProblemNote problem={state.problem} onRetry={() => void load(state.choice)} />}
          <ModelChooser />
        </section>
      )}
      {model && state.kind !== 'loading' && (
        <Button kind="quiet" onClick={() => show('models')}>
          Another model, by address or from a file
        </Button>
      )}
      <Promises />
    </div>
  );
}
