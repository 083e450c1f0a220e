/**
 * The one gateway the protocols know, in front of whatever this process does at the time: the
 * clients' port stays open while a log is repaired and a replica takes its place.
 */
import type { Member } from "../raft/index.ts";
import type { Gateway, ReadOutcome, ReadRequest, ReplicaStatus, WriteOutcome } from "./gateway.ts";
import type { KvReader } from "./kv/index.ts";

export class GatewaySwitch implements Gateway {
  #current: Gateway;

  constructor(first: Gateway) {
    this.#current = first;
  }

  use(next: Gateway): void {
    this.#current = next;
  }

  get reader(): KvReader {
    return this.#current.reader;
  }

  submit(command: Uint8Array, forward: boolean, done: (outcome: WriteOutcome) => void): void {
    this.#current.submit(command, forward, done);
  }

  read(request: ReadRequest, done: (outcome: ReadOutcome) => void): void {
    this.#current.read(request, done);
  }

  status(): ReplicaStatus {
    return this.#current.status();
  }

  leader(): Member | undefined {
    return this.#current.leader();
  }

  isReady(): boolean {
    return this.#current.isReady();
  }
}
