// An error where it happened: the sentence, and what can be done.
import type { Problem, Remedy } from '../state/problems.js';
import { show } from '../state/screen.js';
import { Button } from './controls.js';
import { Icon } from './icon.js';

const labels: Record<Remedy, string> = {
  retry: 'Try again',
  models: 'Manage models',
  settings: 'Open settings',
  reload: 'Reload the page',
};

export function ProblemNote({ problem, onRetry }: { problem: Problem; onRetry?: (() => void) | undefined }) {
  const run: Record<Remedy, (() => void) | undefined> = {
    retry: onRetry,
    models: () => show('models'),
    settings: () => show('settings'),
    reload: () => location.reload(),
  };
  return (
    <div class="problem" role="group" aria-label="Problem">
      <Icon name="warning" />
      <div>
        <p>{problem.text}</p>
        <div class="row">
          {problem.remedies
            .filter((remedy) => run[remedy])
            .map((remedy) => (
              <Button key={remedy} onClick={run[remedy]!}>
                {labels[remedy]}
              </Button>
            ))}
        </div>
      </div>
    </div>
  );
}
