/**
 * What one node's disk has promised: the log, term and vote whose flush was reported done, and what
 * is still on its way. After a crash recovery must bring back exactly the promised state, or that
 * state plus the first few of the things that were on their way, in their order.
 *
 * Entries are known by their chain checksum, so two logs that end in the same one are the same.
 */
import type {
  Entry,
  Envelope,
  HardState,
  RestoredState,
  SnapshotMetadata,
} from "../../raft/index.ts";
import { entryChecksum, type PersistBatch } from "../../storage/index.ts";
import { require } from "./violation.ts";

interface Tail {
  readonly index: number;
  readonly term: number;
  readonly checksum: number;
}

const EMPTY: Tail = { index: 0, term: 0, checksum: 0 };

interface Promise {
  readonly term: number;
  readonly vote: number;
}

type Pending =
  | { readonly kind: "batch"; readonly batch: PersistBatch }
  | { readonly kind: "install"; readonly snapshot: SnapshotMetadata };

export class DurableLog {
  readonly #nodeId: number;
  /** By index; holes below what was compacted or installed. */
  #tails: (Tail | undefined)[] = [EMPTY];
  #last: Tail = EMPTY;
  #promise: Promise = { term: 0, vote: 0 };
  #snapshotIndex = 0;
  #pending: Pending[] = [];

  constructor(nodeId: number) {
    this.#nodeId = nodeId;
  }

  get lastIndex(): number {
    return this.#last.index;
  }

  get term(): number {
    return this.#promise.term;
  }

  persisting(batch: PersistBatch): () => void {
    return this.#push({ kind: "batch", batch });
  }

  installing(snapshot: SnapshotMetadata): () => void {
    const done = this.#push({ kind: "install", snapshot });
    return () => {
      done();
      this.snapshotDurable(snapshot.index);
    };
  }

  snapshotDurable(index: number): void {
    this.#snapshotIndex = Math.max(this.#snapshotIndex, index);
  }

  /** Nothing that promises something leaves before the promise is durable (thesis 3.8). */
  checkPromise({ message, term, from, to }: Envelope): void {
    const { term: durableTerm, vote } = this.#promise;
    const explain = (): string =>
      `node ${this.#nodeId} sent ${JSON.stringify(message)} of term ${term} to ${to}; durable is ` +
      `term ${durableTerm}, vote ${vote}, log up to ${this.#last.index}`;
    switch (message.kind) {
      case "request-vote":
        if (message.phase === "pre-vote") return;
        require(durableTerm > term || (durableTerm === term && vote === from), explain);
        return;
      case "request-vote-response":
        if (message.phase === "pre-vote" || !message.granted) return;
        require(durableTerm > term || (durableTerm === term && vote === to), explain);
        return;
      case "append-entries-response":
        if (message.result === "rejected") return;
        require(durableTerm >= term, explain);
        require(durableTerm > term || this.#last.index >= message.matchIndex, explain);
        return;
      case "install-snapshot-response":
        require(durableTerm >= term, explain);
        require(durableTerm > term || this.#last.index >= message.matchIndex, explain);
        return;
      default:
        return;
    }
  }

  /** Holds what recovery found against what was promised, and takes it as the truth from here. */
  recovered(restored: RestoredState): void {
    const { snapshot, entries, hardState } = restored;
    const snapshotIndex = snapshot?.index ?? 0;
    require(snapshotIndex >= this.#snapshotIndex, () =>
      `node ${this.#nodeId} lost snapshot ${this.#snapshotIndex}, found ${snapshotIndex}`);
    const found = tailOf(restored);
    this.#checkHardState(hardState, found);
    const promised = this.#last;
    require(this.#settle(found), () =>
      `node ${this.#nodeId} recovered a log up to ${found.index} (term ${found.term}), promised ` +
      `was ${promised.index} (term ${promised.term})`);
    this.#tails = [EMPTY];
    if (snapshot !== undefined) this.#put(tailOfSnapshot(snapshot));
    for (const entry of entries) this.#put(tailOfEntry(entry));
    this.#last = found;
    this.#promise = { term: hardState.term, vote: hardState.vote };
    this.#snapshotIndex = snapshotIndex;
    this.#pending = [];
  }

  #checkHardState({ term, vote, commitIndex }: HardState, found: Tail): void {
    const hardStates = this.#pending.map((item) =>
      item.kind === "batch" ? item.batch.hardState : undefined,
    );
    const known = [this.#promise, ...hardStates].some(
      (state) => state?.term === term && state.vote === vote,
    );
    require(known, () =>
      `node ${this.#nodeId} recovered term ${term} and vote ${vote}, promised was term ` +
      `${this.#promise.term} and vote ${this.#promise.vote}`);
    require(commitIndex <= found.index, () =>
      `node ${this.#nodeId} recovered commit ${commitIndex} behind its log, ${found.index}`);
  }

  /** Lets pending work take effect, entry by entry, until the log is the one that was found. */
  #settle(found: Tail): boolean {
    if (isSame(this.#last, found)) return true;
    for (const item of this.#pending) {
      if (item.kind === "install") {
        this.#install(item.snapshot);
        if (isSame(this.#last, found)) return true;
        continue;
      }
      for (const entry of item.batch.entries) {
        this.#append(entry);
        if (isSame(this.#last, found)) return true;
      }
    }
    return false;
  }

  #push(item: Pending): () => void {
    this.#pending.push(item);
    return () => {
      require(this.#pending[0] === item, () =>
        `node ${this.#nodeId}: the disk reports its work out of order`);
      this.#pending.shift();
      if (item.kind === "install") {
        this.#install(item.snapshot);
        return;
      }
      const { entries, hardState } = item.batch;
      for (const entry of entries) this.#append(entry);
      if (hardState !== undefined) this.#promise = hardState;
    };
  }

  #append(entry: Entry): void {
    this.#put(tailOfEntry(entry));
  }

  #install(snapshot: SnapshotMetadata): void {
    const held = this.#tails[snapshot.index];
    if (held !== undefined && held.term === snapshot.term && this.#last.index >= snapshot.index) {
      return;
    }
    this.#tails = [EMPTY];
    this.#put(tailOfSnapshot(snapshot));
  }

  #put(tail: Tail): void {
    this.#tails[tail.index] = tail;
    this.#last = tail;
  }
}

function tailOfEntry(entry: Entry): Tail {
  return { index: entry.index, term: entry.term, checksum: entryChecksum(entry) };
}

function tailOfSnapshot({ index, term, entryChecksum: checksum }: SnapshotMetadata): Tail {
  return { index, term, checksum };
}

function tailOf({ entries, snapshot }: RestoredState): Tail {
  const last = entries.at(-1);
  if (last !== undefined && last.index >= (snapshot?.index ?? 0)) return tailOfEntry(last);
  return snapshot === undefined ? EMPTY : tailOfSnapshot(snapshot);
}

function isSame(a: Tail, b: Tail): boolean {
  return a.index === b.index && a.term === b.term && a.checksum === b.checksum;
}
