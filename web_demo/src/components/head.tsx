// The page's head: the conversations on a phone, what this is, and the model that answers.
import { modelState, choice } from '../state/model.js';
import { current, currentId, open } from '../state/conversations.js';
import { isWide, show } from '../state/screen.js';
import * as format from '../lib/format.js';
import { IconButton } from './controls.js';
import { Icon } from './icon.js';

function modelLine(): string {
  const state = modelState.value;
  if (state.kind === 'ready') return state.choice.name;
  if (state.kind === 'failed') return `${state.choice.name}: problem`;
  if (state.kind === 'loading') {
    const { progress } = state;
    return progress && progress.total > 0
      ? `${state.choice.name}, ${format.percent(progress.loaded, progress.total)} %`
      : `${state.choice.name}, starting`;
  }
  return choice.value ? choice.value.name : 'Choose a model';
}

export function Head() {
  return (
    <header class="head">
      {!isWide.value && <IconButton icon="menu" label="Conversations" onClick={() => show('conversations')} />}
      {current.value ? (
        <h1 class="head-title">{current.value.title}</h1>
      ) : (
        <p class="head-title">{isWide.value ? '' : 'Linnet'}</p>
      )}
      <button
        type="button"
        class={`model-button ${modelState.value.kind}`}
        onClick={() => show('models')}
        aria-label={`Model: ${modelLine()}`}
      >
        <Icon name="model" />
        <span>{modelLine()}</span>
      </button>
      {!isWide.value && currentId.value && <IconButton icon="plus" label="New chat" onClick={() => open('')} />}
    </header>
  );
}
