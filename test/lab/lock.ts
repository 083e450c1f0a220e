/**
 * The lock of the lab's 2025 tests: a key that names its holder. Puts go without a session, so an
 * answer may be lost; then the key itself tells who holds the lock, since every turn has a name of
 * its own.
 */
import type { Lab } from "./lab.ts";
import type { LabClient } from "./world.ts";

const FREE = "";
const RETRY_MS = 10;

export class Lock {
  readonly #lab: Lab;
  readonly #client: LabClient;
  readonly #key: string;
  readonly #name: string;
  #turn = 0;

  constructor(lab: Lab, client: LabClient, key: string, name: string) {
    this.#lab = lab;
    this.#client = client;
    this.#key = key;
    this.#name = name;
  }

  async acquire(): Promise<void> {
    this.#turn += 1;
    for (;;) {
      const record = await this.#client.get(this.#key);
      if (record?.value === this.#mark) return;
      if (record === null || record.value === FREE) {
        const condition =
          record?.revision === undefined
            ? ({ kind: "absent" } as const)
            : ({ kind: "revision", revision: record.revision } as const);
        const answer = await this.#client.putOnce(this.#key, this.#mark, condition);
        if (answer !== "unknown" && answer.kind === "put") return;
      }
      await this.#lab.sleep(RETRY_MS);
    }
  }

  async release(): Promise<void> {
    for (;;) {
      const record = await this.#client.get(this.#key);
      if (record?.revision === undefined || record.value !== this.#mark) return;
      const condition = { kind: "revision", revision: record.revision } as const;
      const answer = await this.#client.putOnce(this.#key, FREE, condition);
      if (answer !== "unknown") return;
    }
  }

  get #mark(): string {
    return `${this.#name}/${this.#turn}`;
  }
}
