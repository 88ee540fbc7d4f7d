// Words that several of the store's errors share: sizes as people read them, and what a file that is no model seems to be.

/** '2.1 GB': 10^9 bytes each, as disks and downloads are counted. */
export function sizeText(bytes: number): string {
  if (bytes < 1000) return `${bytes} bytes`;
  const units = ['kB', 'MB', 'GB', 'TB'];
  let value = bytes / 1000;
  let unit = 0;
  while (value >= 999.5 && unit + 1 < units.length) {
    value /= 1000;
    ++unit;
  }
  return `${value.toFixed(value < 10 ? 1 : 0)} ${units[unit]}`;
}

/** The host of an address, for sentences; the address itself where it has none. */
export function hostOf(url: string): string {
  try {
    return new URL(url).host || url;
  } catch {
    return url;
  }
}

/** The last part of an address's path, to name a model by before its own name is known. */
export function fileNameOf(url: string): string {
  try {
    const last = new URL(url).pathname.split('/').filter(Boolean).pop() ?? '';
    return shownName(decodeURIComponent(last)) || url;
  } catch {
    return url;
  }
}

/** A name that a file gives itself, as it may be shown: one line, of a length that fits. */
export function shownName(name: string): string {
  const line = name.replace(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202f\u2066-\u2069]+/g, ' ').trim();
  return line.length > 120 ? `${line.slice(0, 119)}…` : line;
}

export type FileKind = 'linnet' | 'gguf' | 'other';

const magics: readonly (readonly [FileKind, readonly number[]])[] = [
  ['linnet', [0x89, 0x4c, 0x49, 0x4e, 0x4e, 0x45, 0x54, 0x0a]],
  ['gguf', [0x47, 0x47, 0x55, 0x46]],
];

export function kindOf(first: Uint8Array): FileKind {
  for (const [kind, magic] of magics) {
    if (first.length >= magic.length && magic.every((byte, index) => first[index] === byte)) return kind;
  }
  return 'other';
}

/** What bytes that are no model look like, to end the sentence "There is no model at …". */
export function guessOf(first: Uint8Array): string {
  if (first.length === 0) return 'The file is empty.';
  const text = new TextDecoder('latin1').decode(first.subarray(0, 256)).trimStart();
  const lower = text.toLowerCase();
  if (lower.startsWith('<!doctype') || lower.startsWith('<html') || lower.startsWith('<?xml')) {
    return 'The server answered with a web page. Open the address in a tab to see what it says.';
  }
  if (text.startsWith('version https://git-lfs')) {
    return 'It is a Git LFS pointer, a note of where the file is kept: take the address of the file itself.';
  }
  if (text.startsWith('PK')) return 'It is a ZIP archive or a PyTorch file: convert it with the linnet command.';
  if (first.length > 8 && first[8] === 0x7b && first[7] === 0) {
    return 'It looks like a safetensors file: convert the whole folder with the linnet command.';
  }
  if (text.startsWith('{') || text.startsWith('[')) return 'It is a JSON text.';
  return 'It is neither a .linnet nor a GGUF file.';
}
