// How the glue starts its pool's workers. Emscripten's own way asks for the glue by the name that it had when it was built, which
// breaks where a bundler or a deployment renames it, and makes a blob: address of anything that is not a string, which a strict
// CSP forbids. Here it is the address that the caller gives, else the one that this file was loaded from.
LibraryManager.library.$PThread.allocateUnusedWorker = () => {
    const url = new URL(Module['mainScriptUrlOrBlob'] || _scriptName, _scriptName);
    // The name tells the glue that it is a thread of the pool.
    PThread.unusedWorkers.push(new Worker(url, { type: 'module', name: 'em-pthread' }));
};
