// How far a load is: bar, bytes, rate, time left, and the way to stop it.
import type { Progress } from 'linnet';
import * as format from '../lib/format.js';
import { cancelLoad } from '../state/model.js';
import { Button } from './controls.js';

const phases: Record<Progress['phase'], string> = {
  wait: 'Another tab is fetching it; waiting',
  download: 'Downloading',
  convert: 'Converting',
  verify: 'Checking',
  open: 'Opening',
};

export function progressText(progress: Progress | undefined): string {
  if (!progress) return 'Starting';
  const { phase, loaded, total, bytesPerSecond, secondsLeft } = progress;
  const parts = [phases[phase]];
  if (total > 0) parts.push(`${format.bytes(loaded)} of ${format.bytes(total)}`);
  else if (loaded > 0) parts.push(format.bytes(loaded));
  if (bytesPerSecond > 0 && phase !== 'open' && phase !== 'wait') parts.push(format.rate(bytesPerSecond));
  if (secondsLeft > 0 && Number.isFinite(secondsLeft) && loaded < total) parts.push(`${format.duration(secondsLeft)} left`);
  return parts.join(' · ');
}

export function ProgressBar({ progress, label }: { progress: Progress | undefined; label: string }) {
  const known = progress && progress.total > 0;
  return known ? <progress aria-label={label} max={progress.total} value={progress.loaded} /> : <progress aria-label={label} />;
}

export function LoadProgress({ progress, name }: { progress: Progress | undefined; name: string }) {
  const downloads = progress?.phase === 'download' || progress?.phase === 'convert';
  return (
    <div class="load">
      <ProgressBar progress={progress} label={`Loading ${name}`} />
      <div class="load-line">
        <span class="figures">{progressText(progress)}</span>
        <Button kind="quiet" onClick={cancelLoad}>
          {downloads ? 'Pause' : 'Cancel'}
        </Button>
      </div>
      {progress && downloads && progress.resumedFrom > 0 && (
        <p class="hint">Going on from {format.bytes(progress.resumedFrom)} of an earlier visit.</p>
      )}
    </div>
  );
}
