// Makes Node look like a worker of a browser to the glue that ships, which knows no Node: node --import as_browser.mjs TEST.mjs …
// The glue's own workers are threads of Node, in which this file is loaded too.
import { Worker as Thread, parentPort, workerData } from 'node:worker_threads';

globalThis.self = globalThis;
globalThis.location ??= new URL(import.meta.url);

globalThis.Worker = class {
  #thread;
  constructor(url, { name }) {
    this.#thread = new Thread(new URL(url), { workerData: { name }, execArgv: ['--import', import.meta.url] });
    this.#thread.on('message', (data) => this.onmessage?.({ data }));
    this.#thread.on('error', (error) => this.onerror?.(error));
  }
  postMessage(message, transfer) {
    this.#thread.postMessage(message, transfer);
  }
  terminate() {
    void this.#thread.terminate();
  }
};

if (parentPort) {
  globalThis.name = workerData?.name;
  globalThis.postMessage = (message, transfer) => parentPort.postMessage(message, transfer);
  // Messages wait until somebody listens, as in a browser.
  let listener = null;
  Object.defineProperty(globalThis, 'onmessage', {
    get: () => listener,
    set(next) {
      if (listener === null) parentPort.on('message', (data) => listener({ data }));
      listener = next;
    },
  });
}
