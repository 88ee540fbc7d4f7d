// A plain page with the package in it, as a developer would write one, and handles for the tests to call it by.
import * as linnet from './linnet/index.js';

const violations = [];
document.addEventListener('securitypolicyviolation', (event) =>
    violations.push(`${event.violatedDirective} ${event.blockedURI}`),
);

/** What was thrown, as it can be handed to a test. */
function told(error) {
    return { name: error?.name, code: error?.code, message: String(error?.message ?? error), stack: error?.stack };
}

const models = new Map();
const signals = new Map();
let count = 0;

/** Loads and gives a number to call the model by; with it the progress, thinned out to one of each phase's steps. */
async function load(source, options = {}, signalName = undefined) {
    const progress = [];
    const signal = signalName && makeSignal(signalName);
    const begun = performance.now();
    try {
        const model = await linnet.Linnet.load(source === 'FILE' ? document.querySelector('input').files[0] : source, {
            ...options,
            signal,
            onProgress: (event) => {
                progress.push(event);
                globalThis.lastProgress = event;
            },
        });
        const id = ++count;
        models.set(id, model);
        globalThis.model = model;
        return { id, info: model.info, plan: model.plan, progress, milliseconds: performance.now() - begun };
    } catch (error) {
        const ended = performance.now();
        return {
            error: told(error),
            progress,
            cancelMilliseconds: signals.get(signalName)?.at && ended - signals.get(signalName).at,
        };
    }
}

function makeSignal(name) {
    const controller = new AbortController();
    signals.set(name, { controller });
    return controller.signal;
}

function abort(name) {
    const entry = signals.get(name);
    entry.at = performance.now();
    entry.controller.abort();
}

Object.assign(globalThis, { linnet, Linnet: linnet.Linnet, load, abort, signals, makeSignal, models, told, violations });
globalThis.ready = true;
