// The worker: takes the page's calls, each by its id, and answers them. One model at most is open in it. Under another name this
// file is the reader, which reads for the worker that has started it.
import { LinnetError } from '../errors.js';
import type { CallName, Calls, Request, Response, Setup, WireError } from '../protocol.js';
import { READER_NAME, awaitReaderSetup } from '../reader/serve.js';
import { chats } from './chats.js';
import { Host } from './host.js';

const scope = globalThis as unknown as {
  postMessage(message: Response): void;
  onmessage: ((event: MessageEvent<Request>) => void) | null;
  onerror: (() => boolean) | null;
};
const running = new Map<number, AbortController>();
let host: Host | undefined;

type Handlers = {
  [Name in CallName]: (
    input: Calls[Name]['in'],
    signal: AbortSignal,
    event: (event: Calls[Name]['event']) => void,
  ) => Promise<Calls[Name]['out'] | 'cancelled'>;
};

function handlersOf(host: Host): Handlers {
  return {
    load: (request, signal, event) => host.load(request, signal, event),
    tokenize: async ({ text }) => host.engine.tokenize(text),
    detokenize: async ({ tokens }) => host.engine.detokenize(tokens),
    open: async ({ system, messages, sampling }) => host.open(system, messages, sampling),
    ask: (input, signal, event) => host.ask(input, signal, event),
    complete: (input, signal, event) => host.complete(input, signal, event),
    rewind: ({ session, length }, signal) => host.rewind(session, length, signal),
    clone: ({ session }, signal) => host.clone(session, signal),
    close: ({ session }, signal) => host.close(session, signal),
    save: ({ session, name }, signal) => host.save(session, name, signal),
    restore: ({ name }, signal) => host.restore(name, signal),
    saved: () => chats.list(),
    forget: ({ name }) => chats.forget(name),
    logitsHash: ({ tokens }, signal) => host.logitsHash(tokens, signal),
    bench: (request, signal, event) => host.bench(request, signal, event),
    plan: (request, signal) => host.plan(request, signal),
    memory: async () => host.engine.memory(),
    list: () => host.store.list(),
    size: () => host.store.size(),
    verify: ({ url }, signal, event) => host.verify(url, signal, event),
    delete: async ({ url }) => (await host.store.delete(url), null),
  };
}

function wireError(error: unknown, start: boolean): WireError {
  if (error instanceof LinnetError) return { code: error.code, message: error.message, fatal: false, start };
  if (error instanceof DOMException && error.name === 'AbortError') {
    return { code: 'cancelled', message: error.message, fatal: false, start: false };
  }
  const text = error instanceof Error ? error.message : String(error);
  // A trap leaves the module in a state that nothing can be said about.
  const trap = error instanceof WebAssembly.RuntimeError;
  const message = trap
    ? `The model stopped with an error of WebAssembly (${text}), most likely for want of memory. Load it again.`
    : `The worker has failed: ${text}`;
  return { code: 'worker', message, fatal: trap, start };
}

async function serve(id: number, call: CallName, input: unknown): Promise<void> {
  const controller = new AbortController();
  running.set(id, controller);
  try {
    if (host === undefined) throw new LinnetError('worker', 'The worker was not set up.');
    const handler = handlersOf(host)[call] as (
      input: unknown,
      signal: AbortSignal,
      event: (event: unknown) => void,
    ) => Promise<Calls[CallName]['out'] | 'cancelled'>;
    const result = await handler(input, controller.signal, (event) => {
      scope.postMessage({ id, event: event as Calls[CallName]['event'] });
    });
    // An error's place is where it is thrown; a cancelled call has none.
    if (result === 'cancelled')
      scope.postMessage({ id, error: wireError(new DOMException('Cancelled.', 'AbortError'), false) });
    else scope.postMessage({ id, result });
  } catch (error) {
    scope.postMessage({ id, error: wireError(error, host?.starting === true) });
  } finally {
    running.delete(id);
  }
}

function receive(request: Request): void {
  if ('setup' in request) {
    host = new Host(request.setup satisfies Setup);
    scope.postMessage({ ready: true });
  } else if ('cancel' in request) {
    running.get(request.cancel)?.abort();
  } else {
    void serve(request.id, request.call, request.with);
  }
}

if ((globalThis as { name?: string }).name === READER_NAME) {
  awaitReaderSetup();
} else {
  scope.onmessage = (event) => receive(event.data);
  scope.onerror = () => {
    if (host?.starting !== true) return false;
    host.failStart(
      new LinnetError('worker', 'The threads could not be started: load with threads: 1, and see that dist is served whole.'),
    );
    return true;
  };
}
