// Runs the kernels' unit tests that were compiled to wasm: node unit.mjs linnet_wasm_unit.mjs
import { pathToFileURL } from 'node:url';
import { resolve } from 'node:path';

const { default: create } = await import(pathToFileURL(resolve(process.argv[2])).href);
await create({ arguments: process.argv.slice(3) });
