/** The longest that the first pause can be, in milliseconds. */
export const FIRST_PAUSE = 100;

/** Pauses double, and each is drawn at random from the upper half of what it may be. */
export class Pauses {
  readonly #longest: number;
  #next: number;

  constructor(longest: number) {
    this.#longest = longest;
    this.#next = Math.min(FIRST_PAUSE, longest);
  }

  /** Begins anew, when things go well. */
  reset(): void {
    this.#next = Math.min(FIRST_PAUSE, this.#longest);
  }

  draw(): number {
    const upper = this.#next;
    this.#next = Math.min(upper * 2, this.#longest);
    return upper / 2 + Math.random() * (upper / 2);
  }
}

/** Waits, and returns early when `signal` is aborted. */
export function sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) {
      resolve();
      return;
    }
    const over = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", over);
      resolve();
    };
    const timer = setTimeout(over, milliseconds);
    signal?.addEventListener("abort", over);
  });
}

/** How long the event loop may be held at a stretch, in milliseconds. */
const LONGEST_STRETCH = 4;

/** Lets a long piece of work give way to whatever else the process has to do. */
export class Stretch {
  #begun = performance.now();

  /** Whether the event loop was held for long enough. */
  isOver(): boolean {
    return performance.now() - this.#begun > LONGEST_STRETCH;
  }

  /** Lets everything run that is due. */
  async rest(): Promise<void> {
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
    this.#begun = performance.now();
  }
}
