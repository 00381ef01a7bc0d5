const MOST = 5;
const WITHIN_MS = 180_000;
const FIRST_DELAY_MS = 250;

/** When to start a process again that keeps ending: at once, then ever later, then not at all. */
export class Restarts {
  #ends: number[] = [];

  /** Notes that the process ended; answers how long to wait in milliseconds, or undefined to give up. */
  next(nowMs: number): number | undefined {
    this.#ends = [...this.#ends.filter((end) => nowMs - end < WITHIN_MS), nowMs];
    if (this.#ends.length > MOST) return undefined;
    return this.#ends.length === 1 ? 0 : FIRST_DELAY_MS * 2 ** (this.#ends.length - 1);
  }

  /** Somebody asked for a fresh start. */
  forget(): void {
    this.#ends = [];
  }
}
