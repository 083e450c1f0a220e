/** Counts what is under way, for whoever has to wait until nothing is. */
export class Jobs {
  #underWay = 0;
  #ended: (() => void) | undefined;

  /** The callback of a job that begins now: it tells, then ends the job. */
  begin<Outcome extends readonly unknown[]>(
    tell: (...outcome: Outcome) => void,
  ): (...outcome: Outcome) => void {
    this.#underWay += 1;
    return (...outcome) => {
      tell(...outcome);
      this.#underWay -= 1;
      if (this.#underWay === 0) this.#ended?.();
    };
  }

  /** `done` when nothing is under way; nothing may begin from then on. */
  end(done: () => void): void {
    this.#ended = done;
    if (this.#underWay === 0) done();
  }
}
