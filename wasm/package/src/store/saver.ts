// Writes down what has come, seldom enough not to slow the download and often enough that a killed browser loses little.
import type { DataFile } from './data_file.js';
import type { Entry } from './entry.js';

const mostBytes = 16 * 1024 * 1024; // a flush of them ends within the 200 ms that a cancel may take
const mostMilliseconds = 1000;

export class Saver {
  private unsaved = 0;
  private savedAt = performance.now();
  private saving: Promise<void> | undefined;
  private failure: unknown;

  constructor(
    private readonly entry: Entry,
    private readonly file: DataFile,
  ) {}

  /** So many bytes were written, and their bits set. */
  wrote(bytes: number): void {
    if (this.failure !== undefined) throw this.failure;
    this.unsaved += bytes;
    const due = this.unsaved >= mostBytes || performance.now() - this.savedAt >= mostMilliseconds;
    if (!due || this.saving !== undefined) return;
    this.saving = this.save()
      .catch((error: unknown) => {
        this.failure = error;
      })
      .finally(() => {
        this.saving = undefined;
      });
  }

  /** All that was written is on the disk, and the record says so. */
  async finish(): Promise<void> {
    await this.saving;
    await this.save();
  }

  // The bits are taken right after the flush: none of them stands for bytes that are still to be flushed.
  private save(): Promise<void> {
    this.file.flush();
    this.unsaved = 0;
    this.savedAt = performance.now();
    return this.entry.save();
  }
}
