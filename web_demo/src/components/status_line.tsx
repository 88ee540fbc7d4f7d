// One line at the foot: network, threads, memory, context, speed.
import * as format from '../lib/format.js';
import { answeringHere, liveSpeed, running } from '../state/answer.js';
import { current } from '../state/conversations.js';
import { memoryBytes, modelState, streamedPerStep } from '../state/model.js';
import { show } from '../state/screen.js';
import { check, online, siteStored } from '../state/site.js';

function network(): string {
  if (!online.value) return 'Offline';
  return siteStored.value ? 'Online, works offline too' : 'Online';
}

function threads(): { text: string; reason: string } | undefined {
  const found = check.value;
  if (!found) return undefined;
  const state = modelState.value;
  const count = state.kind === 'ready' ? state.model.info.threads : found.threads;
  return { text: format.count(count, 'thread'), reason: found.features.threads.reason };
}

export function StatusLine() {
  const state = modelState.value;
  const cores = threads();
  const answers = current.value?.messages.filter((message) => message.role === 'assistant') ?? [];
  const last = answers[answers.length - 1];
  const speed = answeringHere.value && liveSpeed.value > 0 ? liveSpeed.value : (last?.timings?.decodeTokensPerSecond ?? 0);
  const context = state.kind === 'ready' ? state.model.info.context : 0;
  return (
    <footer class="status">
      <span class={online.value ? 'network' : 'network off'}>{network()}</span>
      {cores && (
        <button
          type="button"
          class="status-button"
          title={cores.reason}
          aria-label={`${cores.text}. ${cores.reason}`}
          onClick={() => show('settings')}
        >
          {cores.text}
        </button>
      )}
      {state.kind === 'ready' && memoryBytes.value > 0 && (
        <span title="Memory of the model’s worker">{format.bytes(memoryBytes.value)}</span>
      )}
      {state.kind === 'ready' && streamedPerStep.value > 0 && (
        <span title="Read from this device’s storage for each step, which gives a token or more: the model may not take more memory">
          {format.bytes(streamedPerStep.value)} read a step
        </span>
      )}
      {state.kind === 'ready' && last?.usage && (
        <span title="Tokens of this conversation, of those that fit">
          {format.number(last.usage.totalTokens)} / {format.number(context)} tokens
        </span>
      )}
      {speed > 0 && <span class={running.value ? 'speed live' : 'speed'}>{format.speed(speed)}</span>}
    </footer>
  );
}
