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

/** A position, and those who wait for it. */
interface Question {
  readonly asked: AskedPosition;
  readonly callers: Set<(reached: boolean | undefined) => void>;
}

/** The positions of the ledger that callers wait for. Callers that wait for the same position share one question. */
export class Positions {
  readonly #reached = new Set<string>();
  readonly #questions = new Map<string, Question>();
  /** Asks the server on the stream that is open, if there is one. False where the stream has no room for it now. */
  #ask: ((asked: AskedPosition) => boolean) | undefined;
  /** What is asked once there is a stream with room for it. */
  readonly #unasked = new Set<AskedPosition>();

  /** Whether everything up to a position is known here, now or within `patience` milliseconds. */
  async reach(position: string, patience: number, signal?: AbortSignal): Promise<boolean> {
    if (this.isKnown(position)) {
      return true;
    }
    if (position.length > MAX_POSITION_BYTES || signal?.aborted === true) {
      return false;
    }
    const open = this.#questions.get(position);
    if (open === undefined && this.#unasked.size >= MAX_WAITING) {
      return false;
    }
    const question = open ?? this.#question(position);
    return new Promise((resolve) => {
      const over = (reached: boolean | undefined): void => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", aborted);
        question.callers.delete(over);
        if (question.callers.size === 0) {
          this.#close(question);
        }
        resolve(reached === true);
      };
      const aborted = (): void => over(undefined);
      const timer = setTimeout(aborted, patience);
      signal?.addEventListener("abort", aborted);
      question.callers.add(over);
      if (open === undefined) {
        this.#unasked.add(question.asked);
        this.room();
      }
    });
  }

  #question(position: string): Question {
    const callers: Question["callers"] = new Set();
    const answer = (reached: boolean | undefined): void => {
      if (reached === true) {
        this.remember(position);
      }
      [...callers].forEach((over) => over(reached));
    };
    const question = { asked: { position, answer }, callers };
    this.#questions.set(position, question);
    return question;
  }

  /** No caller waits for the answer any more. */
  #close({ asked }: Question): void {
    this.#unasked.delete(asked);
    this.#questions.delete(asked.position);
  }

  /** A stream is open, on which positions can be asked for. */
  open(ask: (asked: AskedPosition) => boolean): void {
    this.#ask = ask;
    this.room();
  }

  /** The stream may have room for what was not asked yet. */
  room(): void {
    for (const asked of this.#unasked) {
      if (this.#ask?.(asked) !== true) {
        return;
      }
      this.#unasked.delete(asked);
    }
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
