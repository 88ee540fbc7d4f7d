// Writes down what has come, seldom enough not to slow the download and often enough that a killed browser loses little.
import type { DataFile } from './data_file.js';
import type { Entry } from './entry.js';

const mostBytes = 16 * 1024 * 1024; // a flush of them ends within the 200 ms that a cancel may take
const leastMilliseconds = 100;
const mostMilliseconds = 1000;
const share = 20; // saving takes a twentieth of the time at most, on a disk however slow

export class Saver {
  private unsaved = 0;
  private savedAt = performance.now();
  private pause = leastMilliseconds;

  private constructor(
    private readonly entry: Entry,
    private readonly file: DataFile,
  ) {}

  static async start(entry: Entry, file: DataFile): Promise<Saver> {
    try {
      await entry.open();
    } catch (error) {
      entry.close();
      throw error;
    }
    return new Saver(entry, file);
  }

  /** So many bytes were written, and their bits set. */
  wrote(bytes: number): void {
    this.unsaved += bytes;
    if (this.unsaved >= mostBytes || performance.now() - this.savedAt >= this.pause) this.save();
  }

  /** The last call but end(): all that was written is on the disk, and the record says so. */
  finish(): void {
    this.save();
    this.end();
  }

  /** After a failure: saves what can be saved. */
  giveUp(): void {
    try {
      this.save();
    } catch {
      // the record before this one holds
    }
    this.end();
  }

  private end(): void {
    this.entry.close();
  }

  // The bits are written right after the flush: none of them stands for bytes that are still to be flushed.
  private save(): void {
    const begun = performance.now();
    this.file.flush();
    this.unsaved = 0;
    this.entry.write();
    this.savedAt = performance.now();
    this.pause = Math.min(Math.max(share * (this.savedAt - begun), leastMilliseconds), mostMilliseconds);
  }
}
