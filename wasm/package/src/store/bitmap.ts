// Which pieces of a file are there: one bit each.
export class Bitmap {
  private held = 0;

  constructor(
    readonly length: number,
    readonly bytes: Uint8Array<ArrayBuffer> = new Uint8Array(Math.ceil(length / 8)),
  ) {
    for (let index = 0; index < length; ++index) if (this.has(index)) ++this.held;
  }

  get count(): number {
    return this.held;
  }

  get full(): boolean {
    return this.held === this.length;
  }

  has(index: number): boolean {
    return ((this.bytes[index >> 3] ?? 0) & (1 << (index & 7))) !== 0;
  }

  set(index: number): void {
    if (index < 0 || index >= this.length || this.has(index)) return;
    this.bytes[index >> 3]! |= 1 << (index & 7);
    ++this.held;
  }

  clear(index: number): void {
    if (!this.has(index)) return;
    this.bytes[index >> 3]! &= ~(1 << (index & 7));
    --this.held;
  }
}

/** A part of a file cut into pieces of one size, the last one shorter. */
export class Grid {
  readonly count: number;

  constructor(
    readonly offset: number,
    readonly bytes: number,
    readonly pieceBytes: number,
  ) {
    this.count = Math.ceil(bytes / pieceBytes);
  }

  start(piece: number): number {
    return this.offset + piece * this.pieceBytes;
  }

  size(piece: number): number {
    return Math.min(this.pieceBytes, this.bytes - piece * this.pieceBytes);
  }

  /** Bytes of the pieces that `held` has. */
  heldBytes(held: Bitmap): number {
    const last = this.count - 1;
    return held.count * this.pieceBytes - (last >= 0 && held.has(last) ? this.pieceBytes - this.size(last) : 0);
  }
}
