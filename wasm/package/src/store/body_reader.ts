// The body of an answer, taken in parts of wanted sizes.
import { Interrupted, type Answer } from './http.js';

export class BodyReader {
  private held: Uint8Array[] = [];
  private heldBytes = 0;
  private ended = false;

  constructor(private readonly answer: Answer) {}

  /** At most `bytes`: fewer at the end of the body. */
  async upTo(bytes: number): Promise<Uint8Array<ArrayBuffer>> {
    await this.hold(bytes);
    const taken = new Uint8Array(Math.min(bytes, this.heldBytes));
    this.take(taken);
    return taken;
  }

  /** Exactly `bytes`; Interrupted where the body ends before. */
  async exactly(bytes: number): Promise<Uint8Array<ArrayBuffer>> {
    const taken = new Uint8Array(bytes);
    await this.fill(taken);
    return taken;
  }

  /** Fills all of `into`; Interrupted where the body ends before. */
  async fill(into: Uint8Array): Promise<void> {
    await this.hold(into.length);
    if (this.heldBytes < into.length) throw new Interrupted('the connection broke');
    this.take(into);
  }

  private async hold(bytes: number): Promise<void> {
    while (this.heldBytes < bytes && !this.ended) {
      const { done, value } = await this.answer.body.next();
      if (done) this.ended = true;
      else if (value.length > 0) {
        this.held.push(value);
        this.heldBytes += value.length;
      }
    }
  }

  private take(into: Uint8Array): void {
    for (let filled = 0; filled < into.length;) {
      const piece = this.held[0]!;
      const part = piece.subarray(0, into.length - filled);
      into.set(part, filled);
      filled += part.length;
      if (part.length === piece.length) this.held.shift();
      else this.held[0] = piece.subarray(part.length);
    }
    this.heldBytes -= into.length;
  }

  /** Puts bytes back, to be taken again. */
  unread(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.held.unshift(bytes);
    this.heldBytes += bytes.length;
  }

  /** Whether the body has ended and all of it was taken. */
  async atEnd(): Promise<boolean> {
    const more = await this.upTo(1);
    this.unread(more);
    return more.length === 0;
  }

  cancel(): void {
    this.answer.cancel();
  }
}
