// The package `linnet`: a language model in a browser tab, in a worker of its own.
import { bench } from './bench.js';
import { check } from './check.js';
import { load, models, plan } from './load.js';
import type { LinnetStatic } from './types.js';

declare const LINNET_VERSION: string; // by build.mjs, from package.json

export const Linnet: LinnetStatic = { load, plan, bench, check, models, version: LINNET_VERSION };

export { createOpenAI } from './openai/openai.js';
export { LinnetError, type ErrorCode } from './errors.js';
export type * from './types.js';
export type * from './openai/types.js';
