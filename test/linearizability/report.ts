/**
 * A verdict for people: what cannot be, what is known just before, and the operations around it.
 * Owns the wording; the smallest prefix that fails ends with the answer it names.
 */
import type { HistoryVerdict, Violation } from "./check-history.ts";
import type { Condition, HistoryOperation, Input, ObservedRecord, Output } from "./history.ts";
import type { KeyState, KvState } from "./kv-state.ts";
import type { Partition } from "./partition.ts";
import type { KvOperation } from "./sightings.ts";

/** Operations that had answered before; those that are concurrent are all shown. */
const BEFORE_SHOWN = 8;
const CONCURRENT_SHOWN = 40;
const VALUE_SHOWN = 40;
const KEYS_SHOWN = 8;

export function describeVerdict(verdict: HistoryVerdict): string {
  const { operations, keys, partitions, steps } = verdict;
  const size =
    `${count(operations, "operation")} on ${count(keys, "key")}, ` +
    `${count(partitions, "part")}, ${count(steps, "step")}`;
  switch (verdict.kind) {
    case "linearizable":
      return `linearizable: ${size}`;
    case "undecided": {
      const parts = verdict.undecided.map(
        (partition) => `  ${nameOf(partition)}: ${count(partition.operations.length, "operation")}`,
      );
      return [`UNDECIDED, which proves nothing: ${size}`, ...parts].join("\n");
    }
    default:
      return [`NOT LINEARIZABLE: ${size}`, ...verdict.violations.map(describeViolation)].join("\n");
  }
}

function describeViolation(violation: Violation): string {
  if (violation.kind === "revision") {
    return [
      "",
      `The store's revision is one counter, but ${violation.witnessRevision} here`,
      `  ${describeOperation(violation.witness)}`,
      `comes before ${violation.revision} here`,
      `  ${describeOperation(violation.operation)}`,
    ].join("\n");
  }
  const { partition, culprit, states } = violation;
  const operation = partition.operations[culprit];
  if (operation === undefined) return "";
  return [
    "",
    `No order of the operations on ${nameOf(partition)} explains this answer:`,
    `  ${describeOperation(operation.source)}`,
    "Orders that explain all answers before it end with",
    ...states.map((state) => `  ${describeState(partition.keys, operation, state)}`),
    "Before it and at the same time (* may be in any order with it):",
    ...around(partition, operation).map(
      (each) => `${isConcurrent(each, operation) ? "*" : " "} ${describeOperation(each.source)}`,
    ),
  ].join("\n");
}

/** What matters of a prefix: what is concurrent with its last answer, and the last before that. */
function around(partition: Partition, culprit: KvOperation): readonly KvOperation[] {
  const end = culprit.returnOrder ?? Number.POSITIVE_INFINITY;
  const prefix = partition.operations.filter(
    (each) => each.callOrder <= end && isRelated(each, culprit),
  );
  const concurrent = prefix
    .filter((each) => isConcurrent(each, culprit))
    .toSorted((a, b) => b.callOrder - a.callOrder)
    .slice(0, CONCURRENT_SHOWN);
  const before = prefix
    .filter((each) => !isConcurrent(each, culprit))
    .toSorted((a, b) => (b.returnOrder ?? 0) - (a.returnOrder ?? 0))
    .slice(0, BEFORE_SHOWN);
  return [...before, ...concurrent, culprit].toSorted((a, b) => a.callOrder - b.callOrder);
}

function isConcurrent(operation: KvOperation, culprit: KvOperation): boolean {
  if (operation === culprit) return false;
  const { returnOrder = Number.POSITIVE_INFINITY } = operation;
  return returnOrder >= culprit.callOrder;
}

/** In a part with many keys, only what can have to do with the culprit's. */
function isRelated(operation: KvOperation, culprit: KvOperation): boolean {
  const { input } = culprit;
  if (!("key" in input) || !("key" in operation.input)) return true;
  return operation.input.key === input.key && operation !== culprit;
}

function describeState(keys: readonly string[], { input }: KvOperation, state: KvState): string {
  const shown = keys.flatMap((key, slot) => {
    const isOther = "key" in input && input.key !== key;
    return isOther ? [] : [`${quoted(key)} ${describeKeyState(state.keys[slot])}`];
  });
  const rest = shown.length > KEYS_SHOWN ? [`${shown.length - KEYS_SHOWN} more keys`] : [];
  return [...shown.slice(0, KEYS_SHOWN), ...rest].join(", ");
}

function describeKeyState(key: KeyState | undefined): string {
  if (key === undefined) return "absent";
  const { value, version, revision, isExact } = key;
  return `= ${quoted(value)} (version ${version}, revision ${revision}${isExact ? "" : " or more"})`;
}

export function describeOperation(operation: HistoryOperation): string {
  const { client, input, callOrder, returnOrder, outcome } = operation;
  const span = `[${callOrder} .. ${outcome === "ok" ? returnOrder : ""}]`;
  const answer = outcome === "ok" ? describeOutput(operation.output) : outcome;
  return `${span} ${client}: ${describeInput(input)} -> ${answer}`;
}

function describeInput(input: Input): string {
  switch (input.kind) {
    case "get":
      return `get ${quoted(input.key)}`;
    case "put":
      return `put ${quoted(input.key)} ${quoted(input.value)}${describeCondition(input.condition)}`;
    case "delete":
      return `delete ${quoted(input.key)}${describeCondition(input.condition)}`;
    case "list":
      return `list ${quoted(input.prefix)}`;
    default: {
      const compare = input.compare.map(
        ({ key, target, op, value }) =>
          `${target} of ${quoted(key)} ${op} ${JSON.stringify(value)}`,
      );
      const success = input.success.map(describeInput).join("; ");
      const failure = input.failure.map(describeInput).join("; ");
      return `txn if (${compare.join(" and ")}) { ${success} } else { ${failure} }`;
    }
  }
}

function describeCondition(condition: Condition | undefined): string {
  if (condition === undefined || condition.kind === "none") return "";
  return ` if ${condition.kind}${condition.kind === "revision" ? ` ${condition.revision}` : ""}`;
}

function describeOutput(output: Output): string {
  switch (output.kind) {
    case "record":
      return describeRecord(output.record);
    case "put":
      return `put${numbers(output)}`;
    case "deleted":
      return `deleted ${output.deleted}${numbers(output)}`;
    case "condition-failed":
      return `condition failed, there is ${describeRecord(output.current)}`;
    case "list": {
      const items = output.items.map(
        ({ key, record }) => `${quoted(key)} ${describeRecord(record)}`,
      );
      const rest = items.length > KEYS_SHOWN ? [`${items.length - KEYS_SHOWN} more`] : [];
      return `[${[...items.slice(0, KEYS_SHOWN), ...rest].join(", ")}]${numbers(output)}`;
    }
    default: {
      const results = (output.results ?? []).map(describeOutput).join("; ");
      return `${output.succeeded ? "succeeded" : "failed"} { ${results} }${numbers(output)}`;
    }
  }
}

function describeRecord(record: ObservedRecord | null | undefined): string {
  if (record === undefined) return "something";
  return record === null ? "absent" : `${quoted(record.value)}${numbers(record)}`;
}

function numbers(named: {
  readonly version?: number | undefined;
  readonly revision?: number | undefined;
}): string {
  const { version, revision } = named;
  const parts = [
    ...(version === undefined ? [] : [`version ${version}`]),
    ...(revision === undefined ? [] : [`revision ${revision}`]),
  ];
  return parts.length === 0 ? "" : ` (${parts.join(", ")})`;
}

function nameOf({ keys }: Partition): string {
  const shown = keys.slice(0, KEYS_SHOWN).map(quoted).join(", ");
  if (keys.length <= KEYS_SHOWN) return `${keys.length === 1 ? "key" : "keys"} ${shown}`;
  return `keys ${shown} and ${keys.length - KEYS_SHOWN} more`;
}

function quoted(text: string): string {
  const isLong = text.length > VALUE_SHOWN;
  return isLong ? `${JSON.stringify(text.slice(0, VALUE_SHOWN))}...` : JSON.stringify(text);
}

function count(number: number, name: string): string {
  return `${number.toLocaleString("en-US")} ${name}${number === 1 ? "" : "s"}`;
}
