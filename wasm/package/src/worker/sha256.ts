// SHA-256 (FIPS 180-4) over bytes that come piece by piece: the browser's own takes only a whole message.

const PRIMES_BITS = 64;

/** The first 32 bits of the fractional parts of the square and cube roots of primes, as the standard derives its constants. */
function constants(): { initial: Uint32Array; round: Uint32Array } {
  const initial = new Uint32Array(8);
  const round = new Uint32Array(PRIMES_BITS);
  const fraction = (value: number): number => (value - Math.floor(value)) * 2 ** 32;
  for (let candidate = 2, found = 0; found < PRIMES_BITS; ++candidate) {
    let prime = true;
    for (let divisor = 2; divisor * divisor <= candidate; ++divisor) if (candidate % divisor === 0) prime = false;
    if (!prime) continue;
    if (found < 8) initial[found] = fraction(Math.sqrt(candidate));
    round[found++] = fraction(Math.cbrt(candidate));
  }
  return { initial, round };
}

const { initial: INITIAL, round: ROUND } = constants();

const turn = (value: number, bits: number): number => (value >>> bits) | (value << (32 - bits));

export class Sha256 {
  private readonly state = Uint32Array.from(INITIAL);
  private readonly block = new Uint8Array(64);
  private readonly words = new Uint32Array(64);
  private readonly view = new DataView(this.block.buffer);
  private filled = 0;
  private bytes = 0;

  update(data: Uint8Array): this {
    this.bytes += data.length;
    for (let at = 0; at < data.length;) {
      const count = Math.min(64 - this.filled, data.length - at);
      this.block.set(data.subarray(at, at + count), this.filled);
      this.filled += count;
      at += count;
      if (this.filled === 64) this.compress();
    }
    return this;
  }

  /** Hexadecimal. The hash takes no more after this. */
  digest(): string {
    const bits = this.bytes * 8;
    this.update(Uint8Array.of(0x80));
    while (this.filled !== 56) this.update(Uint8Array.of(0));
    const length = new Uint8Array(8);
    new DataView(length.buffer).setUint32(0, Math.floor(bits / 2 ** 32));
    new DataView(length.buffer).setUint32(4, bits >>> 0);
    this.update(length);
    return [...this.state].map((word) => word.toString(16).padStart(8, '0')).join('');
  }

  private compress(): void {
    const w = this.words;
    for (let i = 0; i < 16; ++i) w[i] = this.view.getUint32(i * 4);
    for (let i = 16; i < 64; ++i) {
      const early = w[i - 15] as number;
      const late = w[i - 2] as number;
      const small0 = turn(early, 7) ^ turn(early, 18) ^ (early >>> 3);
      const small1 = turn(late, 17) ^ turn(late, 19) ^ (late >>> 10);
      w[i] = ((w[i - 16] as number) + small0 + (w[i - 7] as number) + small1) | 0;
    }
    let [a, b, c, d, e, f, g, h] = this.state as unknown as [number, number, number, number, number, number, number, number];
    for (let i = 0; i < 64; ++i) {
      const big1 = turn(e, 6) ^ turn(e, 11) ^ turn(e, 25);
      const choice = (e & f) ^ (~e & g);
      const first = (h + big1 + choice + (ROUND[i] as number) + (w[i] as number)) | 0;
      const big0 = turn(a, 2) ^ turn(a, 13) ^ turn(a, 22);
      const majority = (a & b) ^ (a & c) ^ (b & c);
      const second = (big0 + majority) | 0;
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + first) | 0, c, b, a, (first + second) | 0];
    }
    [a, b, c, d, e, f, g, h].forEach((value, i) => {
      this.state[i] = ((this.state[i] as number) + value) | 0;
    });
    this.filled = 0;
  }
}
