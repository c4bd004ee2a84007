/** How many positions are waited for at once, here and at the server. */
export const MAX_WAITING = 64;
/** How many positions that were reached are remembered: revocations are only ever added, so they stay reached. */
const MAX_REACHED = 64;
/** The longest position there is. */
const MAX_POSITION_BYTES = 64;

/** A position that callers wait for. */
export interface AskedPosition {
  readonly position: string;
  /** Says whether everything up to there is known here; undefined where that could not be found out. */
  readonly answer: (reached: boolean | undefined) => void;
}

/** The positions of the ledger that callers wait for. */
export class Positions {
  readonly #reached = new Set<string>();
  /** Asks the server on the stream that is open, if there is one; otherwise what is asked waits for it. */
  #ask: ((asked: AskedPosition) => void) | undefined;
  readonly #unasked = new Set<AskedPosition>();

  /** Whether everything up to a position is known here, now or within `patience` milliseconds. */
  async reach(position: string, patience: number, signal?: AbortSignal): Promise<boolean> {
    if (this.isKnown(position)) {
      return true;
    }
    if (position.length > MAX_POSITION_BYTES || this.#unasked.size >= MAX_WAITING || signal?.aborted === true) {
      return false;
    }
    return new Promise((resolve) => {
      const over = (reached: boolean | undefined): void => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", aborted);
        this.#unasked.delete(asked);
        if (reached === true) {
          this.remember(position);
        }
        resolve(reached === true);
      };
      const aborted = (): void => over(undefined);
      const asked = { position, answer: over };
      const timer = setTimeout(aborted, patience);
      signal?.addEventListener("abort", aborted);
      if (this.#ask === undefined) {
        this.#unasked.add(asked);
      } else {
        this.#ask(asked);
      }
    });
  }

  /** A stream is open, on which positions can be asked for. */
  open(ask: (asked: AskedPosition) => void): void {
    this.#ask = ask;
    for (const asked of this.#unasked) {
      ask(asked);
    }
    this.#unasked.clear();
  }

  /** No stream is open. */
  lost(): void {
    this.#ask = undefined;
  }

  isKnown(position: string): boolean {
    return this.#reached.has(position);
  }

  remember(position: string): void {
    if (this.#reached.size >= MAX_REACHED) {
      const [oldest] = this.#reached;
      this.#reached.delete(oldest!);
    }
    this.#reached.add(position);
  }

  get remembered(): number {
    return this.#reached.size;
  }
}
