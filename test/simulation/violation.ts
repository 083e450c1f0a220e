/** A broken promise: what a simulation is run to find. Never caught by what it judges. */

export const VIOLATION_KINDS = [
  /** An acknowledged write, or anything else that was durable or committed, is gone. */
  "lost-write",
  "not-linearizable",
  "duplicate-execution",
  "two-leaders",
  /** Two replicas hold different states at one index. */
  "state-mismatch",
  /** The checker could not tell in its time. */
  "undecided",
  /** Two runs of one seed differ. */
  "non-deterministic",
  /** A vote or an acknowledgement left before what it promises was durable. */
  "early-promise",
  /** After the faults it did not heal, answer or converge. */
  "not-live",
  /** Something grows that must not. */
  "growth",
  /** An assertion of production code, or an error nobody expected. */
  "crash",
  /** Any other invariant. */
  "invariant",
] as const;

export type ViolationKind = (typeof VIOLATION_KINDS)[number];

export class Violation extends Error {
  override readonly name = "Violation";
  readonly kind: ViolationKind;

  constructor(message: string, kind: ViolationKind = "invariant", options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

/** `explain` is only called when it does not hold: checks run after every event. */
export function require(condition: boolean, explain: () => string): asserts condition {
  if (!condition) throw new Violation(explain());
}

/** The same for what has a kind of its own. */
export function promised(
  kind: ViolationKind,
  condition: boolean,
  explain: () => string,
): asserts condition {
  if (!condition) throw new Violation(explain(), kind);
}
