// The page as a whole.
import { useEffect } from 'preact/hooks';
import { Composer } from './components/composer.js';
import { Dialog } from './components/dialog.js';
import { FirstRun } from './components/first_run.js';
import { Head } from './components/head.js';
import { Bird } from './components/icon.js';
import { ModelsDialog } from './components/models_dialog.js';
import { Announcement, Notices } from './components/notices.js';
import { ProblemNote } from './components/problem.js';
import { SettingsDialog } from './components/settings_dialog.js';
import { Conversations } from './components/sidebar.js';
import { StatusLine } from './components/status_line.js';
import { Thread } from './components/thread.js';
import { running, stop } from './state/answer.js';
import { current } from './state/conversations.js';
import { load, modelState } from './state/model.js';
import { isWide, panel, show } from './state/screen.js';
import { check } from './state/site.js';

/** What keeps a model from running here at all, or the one that would not open. */
function Trouble() {
  const found = check.value;
  const state = modelState.value;
  if (found && !found.ok) {
    const missing = Object.values(found.features).filter((feature) => !feature.available);
    return (
      <div class="column">
        <ProblemNote problem={{ text: missing.map((feature) => feature.reason).join(' '), remedies: ['reload'] }} />
      </div>
    );
  }
  // The first screen has a place of its own for it.
  if (state.kind !== 'failed' || !current.value) return null;
  return (
    <div class="column">
      <ProblemNote problem={state.problem} onRetry={() => void load(state.choice)} />
    </div>
  );
}

export function App() {
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (event.key === 'Escape' && !event.defaultPrevented && running.value && !document.querySelector('dialog[open]')) {
        event.preventDefault();
        stop();
      }
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, []);
  useEffect(() => {
    document.title = current.value ? `${current.value.title} – Linnet` : 'Linnet';
  }, [current.value?.title]);

  return (
    <div class="page">
      <a
        class="skip"
        href="#composer"
        onClick={(event) => {
          event.preventDefault();
          document.getElementById('composer')?.focus();
        }}
      >
        To the message field
      </a>
      {isWide.value && (
        <aside class="side" aria-label="Conversations and settings">
          <div class="brand">
            <Bird />
            <span>Linnet</span>
          </div>
          <Conversations />
        </aside>
      )}
      <div class="center">
        <Head />
        <main class="main">
          <Trouble />
          {current.value ? <Thread /> : <FirstRun />}
        </main>
        <div class="foot">
          <Composer />
          <StatusLine />
        </div>
      </div>
      {panel.value === 'conversations' && (
        <Dialog title="Conversations" class="drawer" onClose={() => show('')}>
          <Conversations />
        </Dialog>
      )}
      {panel.value === 'models' && <ModelsDialog />}
      {panel.value === 'settings' && <SettingsDialog />}
      <Notices />
      <Announcement />
    </div>
  );
}
