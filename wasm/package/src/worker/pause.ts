// The engine works in slices, so that the worker hears of a cancellation between two of them, with shared memory or without.

/** How long a slice is. A cancellation waits for at most one, and for the token that is being computed. */
export const SLICE_MILLISECONDS = 30;

const channel = new MessageChannel();
const waiting: (() => void)[] = [];
channel.port1.onmessage = () => waiting.shift()?.();

/** Lets messages in; without the four milliseconds that a timer takes. */
export function pause(): Promise<void> {
  return new Promise((resolve) => {
    waiting.push(resolve);
    channel.port2.postMessage(null);
  });
}
