// The tests' page: calls to the worker by name, and what has come of those that are not waited for.
const worker = new Worker('/worker.js', { type: 'module' });
const calls = new Map();
let next = 0;
worker.onmessage = ({ data }) => {
    const call = calls.get(data.id);
    if (data.progress) {
        call.last = data.progress;
        for (const wait of call.waits.splice(0))
            wait.until(data.progress) ? wait.resolve(data.progress) : call.waits.push(wait);
    } else call.resolve(data.error ? { error: data.error } : { value: data.value });
};
function begin(op, ...args) {
    const id = next++;
    const call = { waits: [] };
    call.done = new Promise((resolve) => (call.resolve = resolve));
    calls.set(id, call);
    worker.postMessage({ id, op, args });
    return id;
}
globalThis.store = {
    begin,
    /** { value } or { error: { name, code, message } } */
    end: (id) => calls.get(id).done,
    call: (op, ...args) => calls.get(begin(op, ...args)).done,
    /** The first progress of this phase with at least so many bytes. */
    reached(id, phase, loaded) {
        const until = (progress) => progress.phase === phase && progress.loaded >= loaded;
        const call = calls.get(id);
        if (call.last && until(call.last)) return call.last;
        const progress = new Promise((resolve) => call.waits.push({ until, resolve }));
        const early = call.done.then((end) => {
            throw new Error(`ended before it came to ${phase} ${loaded}: ${JSON.stringify(end)}`);
        });
        return Promise.race([progress, early]);
    },
    /** Milliseconds from the cancel to the answer. */
    async abort(id) {
        const begun = performance.now();
        worker.postMessage({ op: 'abort', args: [id] });
        const end = await calls.get(id).done;
        return { milliseconds: performance.now() - begun, ...end };
    },
};
