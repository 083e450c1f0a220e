/** The state of a node as HTTP handlers read it: all they are shown is held against the ledger. */
import type { KvReader, KvRecord, ListPage, ListQuery } from "../../server/kv/index.ts";
import type { Ledger } from "./ledger.ts";

export class JudgedReader implements KvReader {
  readonly #reader: KvReader;
  readonly #ledger: Ledger;
  readonly #point: number;

  /** `point`: the index up to which the node has applied. */
  constructor(reader: KvReader, ledger: Ledger, point: number) {
    this.#reader = reader;
    this.#ledger = ledger;
    this.#point = point;
  }

  get revision(): number {
    return this.#reader.revision;
  }

  get keyCount(): number {
    return this.#reader.keyCount;
  }

  get(key: string): KvRecord | undefined {
    const record = this.#reader.get(key);
    this.#ledger.read(key, record, this.#point, this.revision);
    return record;
  }

  /** What a list shows is judged where it arrives: it says at which revision it was made. */
  list(query: ListQuery): ListPage {
    return this.#reader.list(query);
  }
}
