/**
 * The key-value store as a model: what get, put, delete, list and transactions may answer. A plain
 * register is the same model, whose answers name no revisions or versions.
 *
 * Where a number that decides something is not known (kv-state.ts), both ways are possible: the
 * model may accept too much then, but never refuses what the store could have done.
 */
import { assert, unreachable } from "../../raft/index.ts";
import { hasChanged } from "./has-changed.ts";
import type {
  Comparison,
  Condition,
  Input,
  ObservedRecord,
  Output,
  SingleInput,
  TxnInput,
} from "./history.ts";
import { Draft, type KeyState, type KvState, withRevision } from "./kv-state.ts";
import type { Model } from "./model.ts";
import type { RevisionKnowledge } from "./revision-knowledge.ts";

const IMPOSSIBLE: readonly KvState[] = [];
const ALWAYS: Condition = { kind: "none" };

type Truth = "yes" | "no" | "unknown";
type SingleOutput = Exclude<Output, { readonly kind: "list" | "txn" }>;

export class KvModel implements Model<KvState, Input, Output> {
  readonly initial: KvState;
  readonly keys: readonly string[];
  readonly #slots: ReadonlyMap<string, number>;
  readonly #revisions: RevisionKnowledge;

  /** All keys that the operations touch. */
  constructor(keys: readonly string[], revisions: RevisionKnowledge) {
    this.keys = keys;
    this.#revisions = revisions;
    this.#slots = new Map(keys.map((key, slot) => [key, slot]));
    this.initial = { keys: keys.map(() => undefined), revisionMin: 0 };
  }

  step(state: KvState, input: Input, output: Output | undefined): readonly KvState[] {
    if (output === undefined) return this.#unanswered(state, input);
    const draft = new Draft(state, this.#revisions, output.revision);
    if (!this.#answers(draft, input, output)) return IMPOSSIBLE;
    const next = draft.finish();
    return next === undefined ? IMPOSSIBLE : [next];
  }

  isRead(input: Input, output: Output | undefined): boolean {
    return (
      input.kind === "get" ||
      input.kind === "list" ||
      (output !== undefined && !hasChanged(input, output))
    );
  }

  stateKey(state: KvState): string {
    let text = "";
    for (const key of state.keys) text += key === undefined ? ";" : `;${keyStateText(key)}`;
    return text;
  }

  /** Bounds only forbid: lower ones forbid less. */
  covers(state: KvState, other: KvState): boolean {
    return (
      state.revisionMin <= other.revisionMin &&
      state.keys.every((key, slot) => key === undefined || key.revision <= revisionOf(other, slot))
    );
  }

  operationClass(input: Input, output: Output | undefined): string {
    return JSON.stringify([input, output]);
  }

  /** An expected revision never comes again; a key may come and go; without condition all goes. */
  rank(input: Input): number | undefined {
    if (input.kind !== "put" && input.kind !== "delete") return undefined;
    switch (input.condition?.kind) {
      case "revision":
        return 0;
      case "absent":
      case "exists":
        return 1;
      default:
        return 2;
    }
  }

  #unanswered(state: KvState, input: Input): readonly KvState[] {
    switch (input.kind) {
      case "get":
      case "list":
        return [state];
      case "put":
      case "delete": {
        const draft = new Draft(state, this.#revisions, undefined);
        const slot = this.#slot(input.key);
        const truth = holds(input.condition ?? ALWAYS, draft.get(slot));
        if (truth === "no") return [state];
        this.#unansweredWrite(draft, input);
        return only(draft.finish(), truth === "unknown" ? state : undefined);
      }
      case "txn": {
        const truth = this.#allHold(state, input.compare);
        const taken = truth === "no" ? undefined : this.#unansweredBranch(state, input.success);
        const refused = truth === "yes" ? undefined : this.#unansweredBranch(state, input.failure);
        return only(taken, refused);
      }
      default:
        return unreachable(input);
    }
  }

  #unansweredWrite(draft: Draft, input: SingleInput): void {
    const slot = this.#slot(input.key);
    if (input.kind === "get") return;
    const { condition } = input;
    if (condition?.kind === "revision") draft.observeRevision(slot, condition.revision);
    if (input.kind === "put") draft.put(slot, input.value);
    else draft.delete(slot);
  }

  #unansweredBranch(state: KvState, inputs: readonly SingleInput[]): KvState | undefined {
    const draft = new Draft(state, this.#revisions, undefined);
    for (const input of inputs) this.#unansweredWrite(draft, input);
    return draft.finish();
  }

  /** Does in the draft what the input asks for; false when it cannot answer so. */
  #answers(draft: Draft, input: Input, output: Output): boolean {
    switch (input.kind) {
      case "get":
      case "put":
      case "delete":
        assert(output.kind !== "list" && output.kind !== "txn", "one key has one answer");
        return this.#answersOne(draft, input, output);
      case "list":
        assert(output.kind === "list", "a list answers a list");
        return this.#answersList(draft, input.prefix, output.items);
      case "txn":
        assert(output.kind === "txn", "a transaction answers results");
        return this.#answersTxn(draft, input, output.succeeded, output.results);
      default:
        return unreachable(input);
    }
  }

  #answersOne(draft: Draft, input: SingleInput, output: SingleOutput): boolean {
    const slot = this.#slot(input.key);
    switch (output.kind) {
      case "record":
        return draft.observe(slot, output.record);
      case "condition-failed":
        return (
          input.kind !== "get" &&
          (output.current === undefined || draft.observe(slot, output.current)) &&
          holds(input.condition ?? ALWAYS, draft.get(slot)) !== "yes"
        );
      case "put": {
        if (input.kind !== "put" || !this.#mayWrite(draft, input, output.previous)) return false;
        draft.put(slot, input.value);
        // The answer names the record that is there now.
        const { revision, createRevision, version } = output;
        return draft.observe(slot, { value: input.value, revision, createRevision, version });
      }
      case "deleted":
        return (
          input.kind === "delete" &&
          this.#mayWrite(draft, input, output.previous) &&
          draft.delete(slot) === output.deleted > 0 &&
          output.deleted <= 1
        );
      default:
        return unreachable(output);
    }
  }

  #mayWrite(
    draft: Draft,
    { key, condition = ALWAYS }: Exclude<SingleInput, { readonly kind: "get" }>,
    previous: ObservedRecord | null | undefined,
  ): boolean {
    const slot = this.#slot(key);
    if (previous !== undefined && !draft.observe(slot, previous)) return false;
    if (condition.kind === "revision") return draft.observeRevision(slot, condition.revision);
    return holds(condition, draft.get(slot)) === "yes";
  }

  #answersList(
    draft: Draft,
    prefix: string,
    items: readonly { readonly key: string; readonly record: ObservedRecord }[],
  ): boolean {
    const records = new Map(items.map(({ key, record }) => [key, record]));
    if (records.size !== items.length) return false;
    if (items.some(({ key }) => !key.startsWith(prefix))) return false;
    return this.keys.every(
      (key, slot) => !key.startsWith(prefix) || draft.observe(slot, records.get(key) ?? null),
    );
  }

  #answersTxn(
    draft: Draft,
    input: TxnInput,
    succeeded: boolean,
    results: readonly SingleOutput[] | undefined,
  ): boolean {
    const truth = truthOfAll(
      input.compare.map((each) => compared(each, draft.get(this.#slot(each.key)))),
    );
    if (truth === (succeeded ? "no" : "yes")) return false;
    const inputs = succeeded ? input.success : input.failure;
    if (results === undefined) {
      for (const each of inputs) this.#unansweredWrite(draft, each);
      return true;
    }
    return (
      results.length === inputs.length &&
      inputs.every((each, at) => {
        const result = results[at];
        return result !== undefined && this.#answersOne(draft, each, result);
      })
    );
  }

  #allHold(state: KvState, comparisons: readonly Comparison[]): Truth {
    return truthOfAll(comparisons.map((each) => compared(each, state.keys[this.#slot(each.key)])));
  }

  #slot(key: string): number {
    const slot = this.#slots.get(key);
    assert(slot !== undefined, "the model knows all keys");
    return slot;
  }
}

function only(...states: readonly (KvState | undefined)[]): readonly KvState[] {
  return states.filter((state) => state !== undefined);
}

function keyStateText(key: KeyState): string {
  const { value, version, createRevision = "?", revision, isExact } = key;
  return `${version},${createRevision},${isExact ? revision : "?"},${JSON.stringify(value)}`;
}

function revisionOf({ keys }: KvState, slot: number): number {
  return keys[slot]?.revision ?? 0;
}

function holds(condition: Condition, key: KeyState | undefined): Truth {
  switch (condition.kind) {
    case "none":
      return "yes";
    case "exists":
      return key === undefined ? "no" : "yes";
    case "absent":
      return key === undefined ? "yes" : "no";
    case "revision":
      return key === undefined ? "no" : isEqual(key, condition.revision);
    default:
      return unreachable(condition);
  }
}

function isEqual(key: KeyState, revision: number): Truth {
  if (withRevision(key, revision) === undefined) return "no";
  return key.isExact ? "yes" : "unknown";
}

/** An absent key has the numbers 0; what is asked of its value does not hold. */
function compared(comparison: Comparison, key: KeyState | undefined): Truth {
  const { target, op, value } = comparison;
  switch (target) {
    case "exists":
      return relation(Number(key !== undefined), op, Number(value));
    case "value":
      if (key === undefined) return "no";
      return relation(key.value, op, String(value));
    case "version":
      return relation(key?.version ?? 0, op, Number(value));
    case "revision":
      if (key !== undefined && !key.isExact) return "unknown";
      return relation(key?.revision ?? 0, op, Number(value));
    case "createRevision":
      if (key !== undefined && key.createRevision === undefined) return "unknown";
      return relation(key?.createRevision ?? 0, op, Number(value));
    default:
      return unreachable(target);
  }
}

function relation<T extends number | string>(left: T, op: Comparison["op"], right: T): Truth {
  switch (op) {
    case "=":
      return left === right ? "yes" : "no";
    case "!=":
      return left === right ? "no" : "yes";
    case "<":
      return left < right ? "yes" : "no";
    case ">":
      return left > right ? "yes" : "no";
    default:
      return unreachable(op);
  }
}

function truthOfAll(truths: readonly Truth[]): Truth {
  if (truths.includes("no")) return "no";
  return truths.includes("unknown") ? "unknown" : "yes";
}
