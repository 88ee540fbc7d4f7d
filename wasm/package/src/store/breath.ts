// A pause in work that does not wait for anything, so that messages come in: a cancel among them.
import { pause } from '../worker/pause.js';

export async function breath(signal: AbortSignal): Promise<void> {
  await pause();
  signal.throwIfAborted();
}
