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
import type { RepairResult } from "../../server/replica/repair-session.ts";
import { entryChecksum, type PersistBatch } from "../../storage/index.ts";
import { promised, require } from "./violation.ts";

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
  /** The log was rebuilt from less than was promised. */
  #mayBeCut = false;
  /** Checksums of entries whose write was under way when a process ended. */
  readonly #cut = new Set<number>();
  /** A peer's snapshot may have brought a newer term. */
  #isRebuilt = false;

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
  checkPromise(envelope: Envelope): void {
    const { message, term, to } = envelope;
    promised(
      "early-promise",
      this.#isKept(envelope),
      () =>
        `node ${this.#nodeId} sent ${JSON.stringify(message)} of term ${term} to ${to}; durable is ` +
        `term ${this.#promise.term}, vote ${this.#promise.vote}, log up to ${this.#last.index}`,
    );
  }

  #isKept({ message, term, from, to }: Envelope): boolean {
    const { term: durableTerm, vote } = this.#promise;
    if (durableTerm > term) return true;
    const isSameTerm = durableTerm === term;
    switch (message.kind) {
      case "request-vote":
        return message.phase === "pre-vote" || (isSameTerm && vote === from);
      case "request-vote-response":
        return message.phase === "pre-vote" || !message.granted || (isSameTerm && vote === to);
      case "append-entries-response":
        if (message.result === "rejected") return true;
        return isSameTerm && this.#last.index >= message.matchIndex;
      case "install-snapshot-response":
        return isSameTerm && this.#last.index >= message.matchIndex;
      default:
        return true;
    }
  }

  /** What was durable is damaged; a snapshot may be gone when the log makes up for it. */
  damaged(): void {
    this.#snapshotIndex = 0;
  }

  /**
   * A damaged log is about to be replaced: by what it was, or by a peer's snapshot and what goes on
   * behind it, or by less, which is only allowed to a log that says so.
   */
  rebuilding({ kind, received }: RepairResult): void {
    if (received !== undefined) {
      this.#pending.push({ kind: "install", snapshot: received.description.metadata });
    }
    this.#isRebuilt = true;
    if (kind === "recovering") this.#mayBeCut = true;
  }

  /** Holds what recovery found against what was promised, and takes it as the truth from here. */
  recovered(restored: RestoredState, isRecovering: boolean): void {
    const { snapshot, hardState } = restored;
    const snapshotIndex = snapshot?.index ?? 0;
    if (this.#mayBeCut && isRecovering) {
      // In a term in which nothing was promised yet.
      promised(
        "lost-write",
        hardState.term > this.#promise.term && hardState.vote === 0,
        () =>
          `node ${this.#nodeId} goes on with a cut log in term ${hardState.term}, promised was term ` +
          `${this.#promise.term}`,
      );
      this.#take(restored);
      return;
    }
    promised(
      "lost-write",
      snapshotIndex >= this.#snapshotIndex,
      () => `node ${this.#nodeId} lost snapshot ${this.#snapshotIndex}, found ${snapshotIndex}`,
    );
    const found = tailOf(restored);
    this.#checkHardState(hardState, found);
    const before = this.#last;
    promised(
      "lost-write",
      this.#settle(found) || (this.#isRebuilt && this.#isLonger(restored)),
      () =>
        `node ${this.#nodeId} recovered a log up to ${found.index} (term ${found.term}), promised ` +
        `was ${before.index} (term ${before.term})`,
    );
    this.#take(restored);
  }

  /**
   * A write that never became durable was cut, and its remains told the repair what had been in it.
   * Peers hold the very same entries, so to have them after all breaks no promise.
   */
  #isLonger({ entries }: RestoredState): boolean {
    const promisedAt = entries.findIndex(({ index }) => index === this.#last.index);
    const last = entries[promisedAt];
    if (last === undefined || !isSame(tailOfEntry(last), this.#last)) return false;
    return entries.slice(promisedAt + 1).every((entry) => this.#cut.has(entryChecksum(entry)));
  }

  #take(restored: RestoredState): void {
    const { snapshot, entries, hardState } = restored;
    for (const item of this.#pending) {
      if (item.kind === "install") continue;
      for (const entry of item.batch.entries) this.#cut.add(entryChecksum(entry));
    }
    this.#tails = [EMPTY];
    if (snapshot !== undefined) this.#put(tailOfSnapshot(snapshot));
    for (const entry of entries) this.#put(tailOfEntry(entry));
    this.#last = tailOf(restored);
    this.#promise = { term: hardState.term, vote: hardState.vote };
    this.#snapshotIndex = snapshot?.index ?? 0;
    this.#pending = [];
    this.#mayBeCut = false;
    this.#isRebuilt = false;
  }

  #checkHardState({ term, vote, commitIndex }: HardState, found: Tail): void {
    const hardStates = this.#pending.map((item) =>
      item.kind === "batch" ? item.batch.hardState : undefined,
    );
    const isNewer = this.#isRebuilt && term > this.#promise.term && vote === 0;
    const known = [this.#promise, ...hardStates].some(
      (state) => state?.term === term && state.vote === vote,
    );
    promised(
      "lost-write",
      known || isNewer,
      () =>
        `node ${this.#nodeId} recovered term ${term} and vote ${vote}, promised was term ` +
        `${this.#promise.term} and vote ${this.#promise.vote}`,
    );
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
