/** Lets everything run that can run without time passing. */
export async function settle(): Promise<void> {
  for (let round = 0; round < 12; round += 1) await new Promise((resolve) => setImmediate(resolve));
}

interface Entry {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

/** A clock that only the test moves. */
export class FakeClock {
  now = 1_000;
  #order = 0;
  readonly #timers = new Map<number, Entry>();

  get timers(): number {
    return this.#timers.size;
  }

  setTimeout(run: () => void, milliseconds: number): number {
    const order = (this.#order += 1);
    // As browsers do: what does not fit into 32 bits fires at once.
    const delay = milliseconds > 2 ** 31 - 1 ? 0 : milliseconds;
    this.#timers.set(order, { at: this.now + delay, order, run });
    return order;
  }

  clearTimeout(timer: unknown): void {
    this.#timers.delete(timer as number);
  }

  /** Moves on, running each timer at its moment. */
  async advance(milliseconds: number): Promise<void> {
    const end = this.now + milliseconds;
    await settle();
    for (;;) {
      const due = [...this.#timers.values()].filter((timer) => timer.at <= end);
      const next = due.sort((a, b) => a.at - b.at || a.order - b.order)[0];
      if (next === undefined) break;
      this.#timers.delete(next.order);
      this.now = Math.max(this.now, next.at);
      next.run();
      await settle();
    }
    this.now = end;
    await settle();
  }
}
