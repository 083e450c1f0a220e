/** A broken promise: what a simulation is run to find. Never caught by what it judges. */
export class Violation extends Error {
  override readonly name = "Violation";
}

/** `explain` is only called when it does not hold: checks run after every event. */
export function require(condition: boolean, explain: () => string): asserts condition {
  if (!condition) throw new Violation(explain());
}
