// Bytes done become a rate and the seconds that are left, over the last seconds.
import type { ProgressEvent } from './protocol.js';
import type { LoadPhase, Progress } from './types.js';

const WINDOW_MILLISECONDS = 5000;
const LEAST_MILLISECONDS = 250;

export class ProgressMeter {
  private phase: LoadPhase | undefined;
  private samples: { at: number; loaded: number }[] = [];

  next(event: ProgressEvent, now: number): Progress {
    if (event.phase !== this.phase) {
      this.phase = event.phase;
      this.samples = [];
    }
    this.samples.push({ at: now, loaded: event.loaded });
    // One sample from before the window stays, so that the rate spans all of it.
    while (this.samples.length > 2 && (this.samples[1] as { at: number }).at <= now - WINDOW_MILLISECONDS) this.samples.shift();
    const first = this.samples[0] as { at: number; loaded: number };
    const milliseconds = now - first.at;
    const rate = milliseconds >= LEAST_MILLISECONDS ? Math.max(0, ((event.loaded - first.loaded) * 1000) / milliseconds) : 0;
    const left = event.total - event.loaded;
    return {
      ...event,
      bytesPerSecond: rate,
      secondsLeft: event.total > 0 && left <= 0 ? 0 : event.total > 0 && rate > 0 ? left / rate : Infinity,
    };
  }
}
