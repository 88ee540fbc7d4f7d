// Linnet.check(): what this browser has and has not, with a plain reason for each.
import { chooseBuild, features, missing, there } from './builds.js';
import type { Check, CheckedFeature } from './types.js';

async function storage(): Promise<CheckedFeature> {
  if (!globalThis.isSecureContext) {
    return missing('This page is not a secure context, so nothing can be kept: serve it by https, or from localhost.');
  }
  try {
    await navigator.storage.getDirectory();
    return there('Models can be kept in this browser and used without a network.');
  } catch {
    return missing(
      'This browser gives the page no storage (a private window, or site data are blocked): no model can be kept.',
    );
  }
}

async function persistence(): Promise<CheckedFeature> {
  try {
    return (await navigator.storage.persisted())
      ? there('What is stored stays until the person deletes it.')
      : missing('The browser may delete stored models when the disk gets full. It is asked to keep them after a download.');
  } catch {
    return missing('This browser does not say whether it keeps what is stored.');
  }
}

async function storageSpace(): Promise<CheckedFeature> {
  try {
    const { quota = 0, usage = 0 } = await navigator.storage.estimate();
    const free = Math.max(0, quota - usage);
    const sentence = `The browser gives this site ${(free / 1e9).toFixed(1)} GB more.`;
    return free > 0 ? there(sentence) : missing(`${sentence} Delete stored models, or free some of the disk.`);
  } catch {
    return missing('This browser does not say how much room there is.');
  }
}

function locks(): CheckedFeature {
  return globalThis.navigator?.locks === undefined
    ? missing('This browser has no Web Locks: do not open the same model in two tabs at once while it is downloaded.')
    : there('Two tabs can ask for the same model; it is downloaded once.');
}

export async function check(): Promise<Check> {
  const runs = features();
  const all = {
    ...runs,
    storage: await storage(),
    persistence: await persistence(),
    storageSpace: await storageSpace(),
    locks: locks(),
  };
  const ok = runs.webAssembly.available && runs.simd.available;
  const choice = ok ? chooseBuild('auto') : null;
  return { ok, features: all, build: choice?.build ?? null, threads: choice?.threads ?? 0 };
}
