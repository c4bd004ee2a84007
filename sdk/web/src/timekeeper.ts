import type { Environment } from "./environment.js";
import { pauseAfter } from "./retry.js";
import type { SessionKeeper } from "./session-keeper.js";
import { Timer } from "./wait.js";

/** What is done without being asked. */
export interface Habits {
  readonly renewAhead: boolean;
  /** Milliseconds; 0 for never. */
  readonly checkEvery: number;
  /** Asks the server whether the session still stands. */
  readonly check: () => Promise<unknown>;
}

/** A token that lives shorter than this is not renewed more often all the same. */
const SHORTEST_RENEWAL = 1_000;
/** The longest between two attempts to renew when the server cannot be asked. */
const LONGEST_BETWEEN_ATTEMPTS = 60_000;

/**
 * Renews ahead of expiry, and looks whether the session still stands.
 *
 * A tab that nobody looks at does neither, so that a forgotten one does not keep a session from ending of itself; it
 * catches up when it is seen, or needs a token.
 */
export class Timekeeper {
  readonly #environment: Environment;
  readonly #keeper: SessionKeeper;
  readonly #habits: Habits;
  readonly #renewal: Timer;
  readonly #checking: Timer;
  readonly #stop: readonly (() => void)[];
  #renewalDue = false;
  #failures = 0;
  #checkUnderWay = false;

  constructor(environment: Environment, keeper: SessionKeeper, habits: Habits) {
    this.#environment = environment;
    this.#keeper = keeper;
    this.#habits = habits;
    this.#renewal = new Timer(environment);
    this.#checking = new Timer(environment);
    this.#stop = [
      keeper.changed.listen(() => this.#schedule()),
      keeper.checkedElsewhere.listen(() => this.#scheduleCheck()),
      environment.onWake(() => this.#wake()),
    ];
  }

  close(): void {
    for (const stop of this.#stop) stop();
    this.#renewal.stop();
    this.#checking.stop();
  }

  #schedule(): void {
    this.#renewalDue = false;
    this.#failures = 0;
    const { held } = this.#keeper;
    if (held.status !== "logged-in") {
      this.#renewal.stop();
      this.#checking.stop();
      return;
    }
    this.#scheduleCheck();
    if (!this.#habits.renewAhead) return;
    // Each tab picks its own moment, so that one is first and the others are served by it.
    const left = held.token.expiresAt - this.#environment.now();
    const share = 0.7 + 0.15 * this.#environment.random();
    this.#renewal.start(Math.max(SHORTEST_RENEWAL, left * share), () => this.#renew());
  }

  #renew(): void {
    if (this.#environment.hidden()) {
      this.#renewalDue = true;
      return;
    }
    this.#keeper.renew().catch(() => {
      // The end of the session is told by the keeper; whatever else it was, it may pass.
      if (this.#keeper.held.status !== "logged-in" || this.#keeper.life.aborted) return;
      this.#failures += 1;
      const pause = pauseAfter(this.#failures + 3, undefined, this.#environment.random());
      this.#renewal.start(Math.min(LONGEST_BETWEEN_ATTEMPTS, pause * this.#failures), () => this.#renew());
    });
  }

  #wake(): void {
    if (this.#keeper.held.status !== "logged-in" || this.#environment.hidden()) return;
    if (this.#renewalDue || this.#failures > 0) {
      this.#renewalDue = false;
      this.#renew();
    }
    if (this.#habits.checkEvery > 0) this.#check();
  }

  #scheduleCheck(): void {
    const { checkEvery } = this.#habits;
    if (checkEvery <= 0) return;
    this.#checking.start(checkEvery * (0.8 + 0.2 * this.#environment.random()), () => this.#check());
  }

  #check(): void {
    if (this.#environment.hidden()) return this.#scheduleCheck();
    if (this.#checkUnderWay) return;
    this.#checkUnderWay = true;
    this.#habits
      .check()
      .then(
        () => this.#keeper.tellChecked(),
        () => undefined,
      )
      .finally(() => {
        this.#checkUnderWay = false;
        if (this.#keeper.held.status === "logged-in" && !this.#keeper.life.aborted) this.#scheduleCheck();
      });
  }
}
