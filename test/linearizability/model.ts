/**
 * What the checker knows of a system: its operations in time, and a model that says what each may
 * answer. Types only. A model has no side effects; the same arguments give the same states.
 */

/**
 * One operation. It took effect at one moment between its call and its return; it precedes another
 * when its return comes strictly before the other's call.
 */
export interface Operation<Input, Output> {
  readonly input: Input;
  /** Undefined when nobody knows what it answered. */
  readonly output: Output | undefined;
  readonly callOrder: number;
  /**
   * Undefined when it never returned: it may take effect at any time after its call, or never
   * (Herlihy and Wing call it pending).
   */
  readonly returnOrder: number | undefined;
}

export interface Model<State, Input, Output> {
  readonly initial: State;
  /**
   * The states in which the operation may leave the system when it takes effect in `state` and
   * answers `output`; none when it cannot answer so. An undefined output is any answer. A state
   * that it leaves as it is must be the same object, so that the search can see it.
   */
  step(state: State, input: Input, output: Output | undefined): readonly State[];
  /** Equal for equal states, and only for these. */
  stateKey(state: State): string;
  /**
   * Operations of equal class do the same in every state. Only asked about operations that never
   * returned: of a class, the search lets the earliest take effect first.
   */
  operationClass(input: Input, output: Output | undefined): string;
}
