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
   * answers `output`; none when it cannot answer so. An undefined output is any answer.
   */
  step(state: State, input: Input, output: Output | undefined): readonly State[];
  /**
   * Whether the operation, having answered so, changed nothing, whatever the state was. It may
   * still tell more of the state; if it does not, `step` returns the state it was given.
   */
  isRead(input: Input, output: Output | undefined): boolean;
  /** Equal for equal states. Others may share it only if `covers` tells them apart. */
  stateKey(state: State): string;
  /**
   * Of two states with the same key: whether every future that is possible from `other` is possible
   * from `state`, too.
   */
  covers(state: State, other: State): boolean;
  /**
   * Operations of equal class do the same in every state. Only asked about operations that never
   * returned: of a class, the search lets the earliest take effect first.
   */
  operationClass(input: Input, output: Output | undefined): string;
  /**
   * Of two operations that never returned and lead from one state to the same, the one of higher
   * rank can do all that the other can, in every state: the search spends the lower one. Undefined
   * where that cannot be said.
   */
  rank(input: Input): number | undefined;
}
