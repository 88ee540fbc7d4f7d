// Which pieces are asked for next: those that somebody waits for, then front to back.
import type { Bitmap, Grid } from './bitmap.js';

/** Pieces one after the other, fetched by one request. */
export interface Run {
  first: number;
  count: number;
}

export class Plan {
  private readonly asked = new Set<number>();
  private lowest = 0; // all before it are there
  /** Pieces that are wanted before others, most urgent first. */
  urgent: number[] = [];

  constructor(
    readonly grid: Grid,
    readonly held: Bitmap,
    private readonly mostBytes: number,
    private readonly connections: number,
  ) {}

  /** null: all that is missing is on its way. The pieces of a run are nobody else's until they are given back. */
  next(): Run | null {
    this.urgent = this.urgent.filter((piece) => !this.held.has(piece));
    const first = this.urgent.find((piece) => this.free(piece)) ?? this.firstFree();
    if (first === undefined) return null;
    // Long runs, since each request takes a turn to the server; shorter ones at the end, so that all connections end together.
    const share = Math.ceil((this.held.length - this.held.count) / (2 * this.connections));
    const most = Math.max(1, Math.min(share, Math.floor(this.mostBytes / this.grid.pieceBytes)));
    let count = 0;
    while (count < most && first + count < this.grid.count && this.free(first + count)) this.asked.add(first + count++);
    return { first, count };
  }

  giveBack(run: Run): void {
    for (let piece = run.first; piece < run.first + run.count; ++piece) this.asked.delete(piece);
  }

  private free(piece: number): boolean {
    return !this.held.has(piece) && !this.asked.has(piece);
  }

  private firstFree(): number | undefined {
    while (this.lowest < this.grid.count && this.held.has(this.lowest)) ++this.lowest;
    for (let piece = this.lowest; piece < this.grid.count; ++piece) if (this.free(piece)) return piece;
    return undefined;
  }
}
