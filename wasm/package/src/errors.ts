// Errors are typed: a code for programs, a sentence for people that says what happened and what can be done.

export type ErrorCode =
  | 'bad-argument' // the call asks for what is not possible; an option that does not exist
  | 'unsupported' // this browser, or this model file, is not one that can be used
  | 'bad-file' // not a model, or a damaged one
  | 'does-not-fit' // memory or context too small
  | 'network' // the server cannot be reached, or the connection broke and could not be taken up
  | 'not-found' // the server has no such file
  | 'changed' // the file on the server is not the one whose download was begun
  | 'storage-full' // no room, or less than the model needs
  | 'storage' // the browser's storage cannot be used, or a read or write failed
  | 'offline' // the model is not stored and there is no network
  | 'busy' // another tab holds it
  | 'closed' // the model was unloaded, or the session closed
  | 'worker'; // the worker could not be started, or ended

/** What every call throws, except for a cancelled one: that throws the signal's reason, an AbortError, as fetch does. A
 *  cancelled answer throws nothing: its reply says so and has what was said. */
export class LinnetError extends Error {
  override readonly name = 'LinnetError';
  constructor(
    readonly code: ErrorCode,
    message: string,
    options?: { cause?: unknown },
  ) {
    super(message, options);
  }
}

/** The error of a cancelled call: the signal's own reason. */
export function abortReason(signal: AbortSignal | undefined): unknown {
  return signal?.reason ?? new DOMException('Cancelled.', 'AbortError');
}
