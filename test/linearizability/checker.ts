/**
 * Decides whether a history is linearizable (Herlihy and Wing, 1990): whether its operations can
 * be put in one order that respects real time and that the model could have answered so. The
 * search is Wing and Gong's (1993) with Lowe's memo (2017): depth first, one operation at a time,
 * each configuration only once. Knows no keys, files or clocks; it counts steps, not seconds, so
 * that a verdict is the same on every machine.
 *
 * - A configuration is: which operations have taken effect, and the state they led to.
 * - An operation that never returned may take effect at any later time or never. Such operations
 *   are used last, and only as many as are needed: a configuration that has used more of them to
 *   come to the same point cannot do anything that the one with fewer cannot.
 * - A search that exceeds its budget has decided nothing. Callers treat that as a failure.
 */
import { assert } from "../../raft/index.ts";
import type { Model, Operation } from "./model.ts";
import { OperationSet } from "./operation-set.ts";
import { END, Timeline } from "./timeline.ts";

/** About ten seconds, and a gigabyte of memo at most. */
export const STEPS_MAX = 5_000_000;

/** How many of the states before a violation are worth telling. */
const STATES_SHOWN_MAX = 5;

export type Verdict<State> =
  | { readonly kind: "linearizable"; readonly steps: number }
  | {
      readonly kind: "violation";
      readonly steps: number;
      /**
       * The first return that no order explains, as an index into the operations: all that
       * returned before it can be explained.
       */
      readonly culprit: number;
      /** Where the orders that explain everything before the culprit can end; not all of them. */
      readonly states: readonly State[];
    }
  | { readonly kind: "undecided"; readonly steps: number };

export function check<State, Input, Output>(
  model: Model<State, Input, Output>,
  operations: readonly Operation<Input, Output>[],
  stepsMax: number = STEPS_MAX,
): Verdict<State> {
  return new Search(model, operations, stepsMax).run();
}

interface Numbered<Input, Output> extends Operation<Input, Output> {
  /** Its index among the operations given. */
  readonly index: number;
}

interface Returned<Input, Output> extends Numbered<Input, Output> {
  readonly returnOrder: number;
}

/** What may take effect next, and the state it leads to. */
type Branch<State> =
  | { readonly kind: "returned"; readonly number: number; readonly state: State }
  /** Several operations that never returned, one after the other. */
  | { readonly kind: "open"; readonly numbers: readonly number[]; readonly state: State };

/** A configuration on the way from the start to here, and what can be tried from it. */
interface Frame<State> {
  /** First what returned; then what did not, the fewest first. */
  readonly branches: Branch<State>[];
  /** The branch to try next. */
  next: number;
  /** Where branches may still be added: those to which one more open operation can be added. */
  readonly extensible: Branch<State>[];
}

interface Visited<State> {
  readonly state: State;
  readonly usedOpen: Uint32Array;
}

class Search<State, Input, Output> {
  readonly #model: Model<State, Input, Output>;
  readonly #stepsMax: number;
  /** In order of their calls; a set or timeline numbers them as they stand here. */
  readonly #returned: readonly Returned<Input, Output>[];
  readonly #open: readonly Numbered<Input, Output>[];
  /** By rank, those of no rank first. */
  readonly #openClasses: readonly OpenClass[];
  readonly #timeline: Timeline;
  readonly #usedReturned: OperationSet;
  readonly #usedOpen: OperationSet;
  /** By what has returned and the state's key. */
  readonly #memo = new Map<string, Visited<State>[]>();
  readonly #stateIds = new Map<string, number>();
  #steps = 0;
  #farthestReturn = END;
  #farthestStates = new Map<string, State>();

  constructor(
    model: Model<State, Input, Output>,
    operations: readonly Operation<Input, Output>[],
    stepsMax: number,
  ) {
    this.#model = model;
    this.#stepsMax = stepsMax;
    const inTime = operations
      .map((operation, index) => ({ ...operation, index }))
      .sort((a, b) => a.callOrder - b.callOrder);
    this.#returned = inTime.filter(hasReturned);
    this.#open = inTime.filter((operation) => !hasReturned(operation));
    this.#openClasses = classesOf(model, this.#open);
    this.#timeline = new Timeline(this.#returned);
    this.#usedReturned = new OperationSet(this.#returned.length);
    this.#usedOpen = new OperationSet(this.#open.length);
  }

  run(): Verdict<State> {
    const path = [this.#frame(this.#model.initial, false)];
    for (let frame = path.at(-1); frame !== undefined; frame = path.at(-1)) {
      if (this.#timeline.first() === END) return { kind: "linearizable", steps: this.#steps };
      if (this.#steps > this.#stepsMax) return { kind: "undecided", steps: this.#steps };
      const branch = this.#advance(frame);
      if (branch !== undefined) {
        path.push(this.#frame(branch.state, branch.kind === "open"));
      } else {
        path.pop();
        const parent = path.at(-1);
        if (parent !== undefined) this.#takeBack(parent);
      }
    }
    return this.#violation();
  }

  /** Takes the next untried operation into the order; undefined when all have been tried. */
  #advance(frame: Frame<State>): Branch<State> | undefined {
    for (;;) {
      const branch = frame.branches[frame.next];
      if (branch !== undefined) {
        this.#take(branch);
        frame.next += 1;
        if (this.#isNew(branch.state)) {
          if (branch.kind === "open") frame.extensible.push(branch);
          return branch;
        }
        this.#takeBack(frame);
      } else {
        const shorter = frame.extensible.shift();
        if (shorter === undefined) return undefined;
        this.#addOpenBranches(frame, shorter);
      }
    }
  }

  /**
   * Whatever was called before the first return that is left may take effect next. After operations
   * that never returned, one that did must follow: longer rows of them come later, so that one is
   * tried alone before it is tried with all others.
   */
  #frame(state: State, isAfterOpen: boolean): Frame<State> {
    const branches: Branch<State>[] = [];
    let event = this.#timeline.first();
    for (; event !== END && !this.#timeline.isReturn(event); event = this.#timeline.next(event)) {
      const number = this.#timeline.operationAt(event);
      for (const next of this.#outcomes(state, this.#returned[number])) {
        // A read that tells nothing new is in nobody's way: if any order goes on from here, one
        // goes on that begins with it. So nothing else need be tried.
        if (next === state && this.#isRead(number)) {
          return { branches: [{ kind: "returned", number, state }], next: 0, extensible: [] };
        }
        branches.push({ kind: "returned", number, state: next });
      }
    }
    if (event !== END) this.#remember(event, state);
    const isExtensible = !isAfterOpen && this.#open.length > 0;
    return {
      branches,
      next: 0,
      extensible: isExtensible ? [{ kind: "open", numbers: [], state }] : [],
    };
  }

  /** A row longer by one: of those that can stand in for each other, the earliest. */
  #addOpenBranches(frame: Frame<State>, shorter: Branch<State>): void {
    if (shorter.kind !== "open") return;
    const deadline = this.#deadline();
    const ranked = new Map<string, State>();
    for (const number of shorter.numbers) this.#usedOpen.add(number);
    for (const { members, rank } of this.#openClasses) {
      const number = members.find((each) => !this.#usedOpen.has(each));
      const operation = number === undefined ? undefined : this.#open[number];
      if (number === undefined || operation === undefined) continue;
      if (operation.callOrder > deadline) continue;
      for (const state of this.#outcomes(shorter.state, operation)) {
        if (state === shorter.state) continue;
        if (rank !== undefined) {
          const key = this.#model.stateKey(state);
          const lower = ranked.get(key);
          if (lower !== undefined && this.#model.covers(lower, state)) continue;
          ranked.set(key, state);
        }
        frame.branches.push({ kind: "open", numbers: [...shorter.numbers, number], state });
      }
    }
    for (const number of shorter.numbers) this.#usedOpen.remove(number);
  }

  /** The latest that something may be called to come before the first return that is left. */
  #deadline(): number {
    let event = this.#timeline.first();
    while (!this.#timeline.isReturn(event)) event = this.#timeline.next(event);
    return this.#returned[this.#timeline.operationAt(event)]?.returnOrder ?? 0;
  }

  #outcomes(state: State, operation: Operation<Input, Output> | undefined): readonly State[] {
    assert(operation !== undefined, "a branch is an operation");
    this.#steps += 1;
    return this.#model.step(state, operation.input, operation.output);
  }

  #isRead(number: number): boolean {
    const operation = this.#returned[number];
    return operation !== undefined && this.#model.isRead(operation.input, operation.output);
  }

  #take(branch: Branch<State>): void {
    if (branch.kind === "open") {
      for (const number of branch.numbers) this.#usedOpen.add(number);
    } else {
      this.#usedReturned.add(branch.number);
      this.#timeline.lift(branch.number);
    }
  }

  /** Undoes the branch that was taken last. */
  #takeBack({ branches, next }: Frame<State>): void {
    const branch = branches[next - 1];
    assert(branch !== undefined, "what is taken back was taken");
    if (branch.kind === "open") {
      for (const number of branch.numbers) this.#usedOpen.remove(number);
    } else {
      this.#timeline.putBack(branch.number);
      this.#usedReturned.remove(branch.number);
    }
  }

  /** False when a configuration was here before that can do all that this one can. */
  #isNew(state: State): boolean {
    const key = `${this.#usedReturned.key()}|${this.#stateId(state)}`;
    const visited = this.#memo.get(key);
    if (visited === undefined) {
      this.#memo.set(key, [{ state, usedOpen: this.#usedOpen.words() }]);
      return true;
    }
    for (const other of visited) {
      if (this.#usedOpen.includesAll(other.usedOpen) && this.#model.covers(other.state, state)) {
        return false;
      }
    }
    visited.push({ state, usedOpen: this.#usedOpen.words() });
    return true;
  }

  #stateId(state: State): number {
    const key = this.#model.stateKey(state);
    const known = this.#stateIds.get(key);
    if (known !== undefined) return known;
    const id = this.#stateIds.size;
    this.#stateIds.set(key, id);
    return id;
  }

  /**
   * The search is exhaustive, so the latest return it ever waited for is the first that nothing
   * explains.
   */
  #remember(returnEvent: number, state: State): void {
    if (returnEvent < this.#farthestReturn) return;
    if (returnEvent > this.#farthestReturn) this.#farthestStates.clear();
    this.#farthestReturn = returnEvent;
    if (this.#farthestStates.size >= STATES_SHOWN_MAX) return;
    this.#farthestStates.set(this.#model.stateKey(state), state);
  }

  #violation(): Verdict<State> {
    const operation = this.#returned[this.#timeline.operationAt(this.#farthestReturn)];
    assert(operation !== undefined, "only what returned can be a violation");
    const states = [...this.#farthestStates.values()];
    return { kind: "violation", steps: this.#steps, culprit: operation.index, states };
  }
}

function hasReturned<Input, Output>(
  operation: Numbered<Input, Output>,
): operation is Returned<Input, Output> {
  return operation.returnOrder !== undefined;
}

/** Open operations that can stand in for each other. */
interface OpenClass {
  readonly rank: number | undefined;
  /** Earliest call first. */
  readonly members: number[];
}

function classesOf<State, Input, Output>(
  model: Model<State, Input, Output>,
  open: readonly Operation<Input, Output>[],
): readonly OpenClass[] {
  const classes = new Map<string, OpenClass>();
  open.forEach(({ input, output }, number) => {
    const name = model.operationClass(input, output);
    const known = classes.get(name);
    if (known === undefined) classes.set(name, { rank: model.rank(input), members: [number] });
    else known.members.push(number);
  });
  return [...classes.values()].sort((a, b) => (a.rank ?? -1) - (b.rank ?? -1));
}
