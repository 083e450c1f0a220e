/**
 * What other clients' answers tell about writes that were not answered.
 *
 * - A write whose value somebody saw did take effect, before the first who saw it had the answer,
 *   and the record that was seen is its answer. That is certain only if nobody else wrote it.
 * - A value that nobody saw is as good as any other. All such writes are made alike, so that the
 *   search need not try each in the place of each.
 */
import type {
  AnsweredOperation,
  HistoryOperation,
  Input,
  ObservedRecord,
  Output,
  SingleInput,
  TxnInput,
} from "./history.ts";
import type { Operation } from "./model.ts";
import { recordsSeen } from "./records-seen.ts";

export const UNSEEN_VALUE = "(a value nobody saw)";

/** An operation as the checker takes it, and where it comes from. */
export interface KvOperation extends Operation<Input, Output> {
  readonly source: HistoryOperation;
}

interface Sighting {
  readonly record: ObservedRecord;
  /** When the first who saw it knew. */
  readonly returnOrder: number;
}

type PutInput = Extract<SingleInput, { readonly kind: "put" }>;

export class Sightings {
  /** By key and value. */
  readonly #writers = new Map<string, number>();
  readonly #sightings = new Map<string, Sighting>();
  /** Keys whose value decided something, seen or not. */
  readonly #compared = new Set<string>();

  constructor(operations: readonly HistoryOperation[]) {
    for (const operation of operations) {
      this.#noteWrites(operation.input);
      if (operation.outcome === "ok") this.#noteSightings(operation);
    }
  }

  complete(source: HistoryOperation): KvOperation {
    const { input, callOrder } = source;
    if (source.outcome === "ok") {
      return { source, input, output: source.output, callOrder, returnOrder: source.returnOrder };
    }
    const open = { source, input, output: undefined, callOrder, returnOrder: undefined };
    switch (input.kind) {
      case "put": {
        const sighting = this.#proofOf([input], callOrder);
        if (sighting === undefined) return { ...open, input: this.#withoutUnseen(input) };
        const { revision, createRevision, version } = sighting.record;
        const { returnOrder } = sighting;
        return { ...open, output: { kind: "put", revision, createRevision, version }, returnOrder };
      }
      case "txn":
        return (
          this.#completeTxn(open, input, input.success, true) ??
          this.#completeTxn(open, input, input.failure, false) ?? {
            ...open,
            input: {
              ...input,
              success: input.success.map((part) => this.#withoutUnseen(part)),
              failure: input.failure.map((part) => this.#withoutUnseen(part)),
            },
          }
        );
      default:
        return open;
    }
  }

  #completeTxn(
    open: KvOperation,
    input: TxnInput,
    branch: readonly SingleInput[],
    succeeded: boolean,
  ): KvOperation | undefined {
    const sighting = this.#proofOf(branch, open.callOrder);
    if (sighting === undefined) return undefined;
    const { revision } = sighting.record;
    const { returnOrder } = sighting;
    return { ...open, input, output: { kind: "txn", succeeded, revision }, returnOrder };
  }

  /** Somebody saw what only these parts can have written. */
  #proofOf(parts: readonly SingleInput[], callOrder: number): Sighting | undefined {
    for (const part of parts) {
      if (part.kind !== "put") continue;
      const name = nameOf(part);
      const sighting = this.#sightings.get(name);
      if (sighting === undefined || this.#writers.get(name) !== 1) continue;
      // Seen before it was asked for: the search will find that nothing explains it.
      if (sighting.returnOrder >= callOrder) return sighting;
    }
    return undefined;
  }

  #withoutUnseen<Part extends SingleInput>(part: Part): Part | PutInput {
    if (part.kind !== "put" || this.#compared.has(part.key)) return part;
    return this.#sightings.has(nameOf(part)) ? part : { ...part, value: UNSEEN_VALUE };
  }

  #noteWrites(input: Input): void {
    const parts = input.kind === "txn" ? [...input.success, ...input.failure] : [input];
    for (const part of parts) {
      if (part.kind !== "put") continue;
      const name = nameOf(part);
      this.#writers.set(name, (this.#writers.get(name) ?? 0) + 1);
    }
    if (input.kind !== "txn") return;
    for (const { key, target } of input.compare) {
      if (target === "value") this.#compared.add(key);
    }
  }

  #noteSightings({ input, output, returnOrder }: AnsweredOperation): void {
    for (const { key, record } of recordsSeen(input, output)) {
      const name = nameOf({ key, value: record.value });
      const earlier = this.#sightings.get(name);
      if (earlier !== undefined && earlier.returnOrder <= returnOrder) continue;
      this.#sightings.set(name, { record, returnOrder });
    }
  }
}

function nameOf({ key, value }: { readonly key: string; readonly value: string }): string {
  return JSON.stringify([key, value]);
}
