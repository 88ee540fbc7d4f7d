// Numbers as people read them.
const plain = (digits: number): Intl.NumberFormat => new Intl.NumberFormat('en', { maximumFractionDigits: digits });
const [whole, tenths, hundredths] = [plain(0), plain(1), plain(2)];

/** Of 10^6, as download sizes and disks are told. */
export function bytes(count: number): string {
  if (count >= 1e9) return `${hundredths.format(count / 1e9)} GB`;
  if (count >= 1e7) return `${whole.format(count / 1e6)} MB`;
  if (count >= 1e6) return `${tenths.format(count / 1e6)} MB`;
  return `${whole.format(Math.ceil(count / 1e3))} kB`;
}

export const rate = (perSecond: number): string => `${bytes(perSecond)}/s`;

export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '';
  if (seconds < 1) return 'less than a second';
  if (seconds < 60) return `${Math.ceil(seconds)} s`;
  if (seconds < 3600) return `${Math.ceil(seconds / 60)} min`;
  return `${Math.floor(seconds / 3600)} h ${Math.ceil((seconds % 3600) / 60)} min`;
}

export const speed = (tokensPerSecond: number): string =>
  `${(tokensPerSecond >= 10 ? whole : tenths).format(tokensPerSecond)} tokens/s`;

export const number = (count: number): string => whole.format(count);

export const percent = (part: number, all: number): number => (all > 0 ? Math.min(100, Math.floor((100 * part) / all)) : 0);

export const count = (n: number, one: string, many = `${one}s`): string => `${whole.format(n)} ${n === 1 ? one : many}`;
