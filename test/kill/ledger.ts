/**
 * What one writer knows about its writes, and so what every node must hold in the end. Pure
 * bookkeeping; it knows no clients and no processes.
 *
 * A writer has a counter key, which nobody else writes and whose version counts what was applied,
 * and a fresh key for every second write. An acknowledged write was applied exactly once; a refused
 * one never; of one whose outcome is unknown, at most once.
 */
import type { Outcome } from "../../clients/index.ts";
import type { OwnRecord } from "../cluster-process.ts";

export interface Intent {
  readonly key: string;
  readonly value: string;
  readonly isCounter: boolean;
  /** Sent with the condition that the key is absent: a second application would contradict it. */
  readonly ifAbsent: boolean;
}

export class Ledger {
  readonly counterKey: string;
  acknowledged = 0;
  unknown = 0;
  readonly violations: string[] = [];
  readonly #name: string;
  #attempts = 0;
  /** The version of the counter lies between these two. */
  #versionMin = 0;
  #versionMax = 0;
  /** What the counter may hold, given `#versionMin`: the last acknowledged value and later ones. */
  #counterValues = new Set<string>();
  readonly #created = new Map<string, { readonly value: string; readonly isSure: boolean }>();

  constructor(name: string) {
    this.#name = name;
    this.counterKey = `counter/${name}`;
  }

  /** At least this many writes of the counter can be read by whoever starts reading now. */
  get counterVersionMin(): number {
    return this.#versionMin;
  }

  next(): Intent {
    this.#attempts += 1;
    const value = `${this.#name}-${this.#attempts}`;
    if (this.#attempts % 2 === 0) {
      return { key: this.counterKey, value, isCounter: true, ifAbsent: false };
    }
    const key = `unique/${this.#name}/${String(this.#attempts).padStart(7, "0")}`;
    return { key, value, isCounter: false, ifAbsent: this.#attempts % 4 === 1 };
  }

  /** `version` is what the acknowledgement says; undefined when the condition was said to fail. */
  acknowledge({ key, value, isCounter }: Intent, version: number | undefined): void {
    this.acknowledged += 1;
    if (!isCounter) {
      this.#created.set(key, { value, isSure: true });
      if (version !== 1) this.#violation(`${key} was created with version ${version}, not 1`);
      return;
    }
    const [min, max] = [this.#versionMin + 1, this.#versionMax + 1];
    if (version === undefined || version < min || version > max) {
      this.#violation(`write ${value} made version ${version} of ${key}, not ${min} to ${max}`);
    }
    this.#versionMin = version ?? min;
    this.#versionMax = version ?? max;
    this.#counterValues = new Set([value]);
  }

  fail({ key, value, isCounter }: Intent, outcome: Outcome): void {
    if (outcome === "not_applied") return;
    this.unknown += 1;
    if (outcome === "applied") this.#violation(`write ${value} failed, but is said to be applied`);
    if (!isCounter) {
      this.#created.set(key, { value, isSure: false });
      return;
    }
    this.#versionMax += 1;
    this.#counterValues.add(value);
  }

  /** What is wrong with a node's state, as far as this writer's keys go. */
  audit(records: ReadonlyMap<string, OwnRecord>, say: (problem: string) => void): void {
    const counter = records.get(this.counterKey);
    const version = counter?.version ?? 0;
    if (version < this.#versionMin || version > this.#versionMax) {
      const range = `${this.#versionMin} to ${this.#versionMax}`;
      say(`${this.counterKey} has version ${version}, not ${range}`);
    }
    if (counter !== undefined && !this.#counterValues.has(String(counter.value))) {
      say(`${this.counterKey} holds ${String(counter.value)}, which is not its newest value`);
    }
    for (const [key, { value, isSure }] of this.#created) {
      const record = records.get(key);
      if (record === undefined) {
        if (isSure) say(`${key} was acknowledged and is missing`);
      } else if (record.version !== 1 || record.value !== value) {
        say(`${key} is version ${record.version} of ${String(record.value)}, not 1 of ${value}`);
      }
    }
  }

  /** True for keys of this writer that it has never been told are there. */
  isUnexpected(key: string): boolean {
    return key.startsWith(`unique/${this.#name}/`) && !this.#created.has(key);
  }

  #violation(text: string): void {
    this.violations.push(text);
  }
}
