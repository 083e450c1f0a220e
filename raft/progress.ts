/**
 * One follower as the leader sees it, with every transition of its three states:
 *
 * - probe: the leader does not know where the logs agree; one append at a time, then it waits for
 *   the answer or the next heartbeat's;
 * - replicate: they agree; appends are pipelined, `nextIndex` runs ahead of `matchIndex` within a
 *   window of messages and bytes;
 * - snapshot: the follower is behind the log; nothing is appended until the snapshot is through.
 *
 * Knows nothing of the log's contents and sends nothing itself.
 *
 * Invariants: matchIndex is a fact and never decreases; matchIndex < nextIndex.
 */
import { assert } from "./assert.ts";
import type { LogIndex, MonotonicMs, NodeId } from "./types.ts";

export type ProgressState = "probe" | "replicate" | "snapshot";

export interface WindowLimits {
  readonly inflightMessagesMax: number;
  readonly inflightBytesMax: number;
}

export class Progress {
  readonly id: NodeId;
  /** Learners get the log and count in no quorum. */
  isVoter: boolean;
  /** The newest read round it has acknowledged in this term. */
  ackedRound = 0;
  readonly #limits: WindowLimits;
  #heardMs: MonotonicMs;
  #countedMs: MonotonicMs;
  /** False until this leader heard it without the flag of a recovering node. */
  #isWhole = false;
  #state: ProgressState = "probe";
  #matchIndex: LogIndex = 0;
  #nextIndex: LogIndex;
  #sentCommitIndex: LogIndex = 0;
  /** Probe: an append is under way. Replicate: an unanswered window needs a nudge. */
  #probeSent = false;
  #nudgeDue = false;
  /** A tick passed: the commit index has waited long enough for an append to ride on. */
  #noticeDue = false;
  #stalledMatchIndex: LogIndex = -1;
  #snapshotIndex: LogIndex = 0;
  /** The window: last index and bytes of each append that was not acknowledged, oldest first. */
  readonly #inflightIndexes: LogIndex[] = [];
  readonly #inflightSizes: number[] = [];
  #inflightBytes = 0;

  constructor(
    id: NodeId,
    isVoter: boolean,
    nextIndex: LogIndex,
    now: MonotonicMs,
    limits: WindowLimits,
  ) {
    assert(nextIndex > 0, "nextIndex is a log index");
    this.id = id;
    this.isVoter = isVoter;
    this.#heardMs = now;
    this.#countedMs = now;
    this.#nextIndex = nextIndex;
    this.#limits = limits;
  }

  get state(): ProgressState {
    return this.#state;
  }

  get matchIndex(): LogIndex {
    return this.#matchIndex;
  }

  /** What of it counts for commits: nothing until it is whole (recovering.ts). */
  get countedIndex(): LogIndex {
    return this.#isWhole ? this.#matchIndex : 0;
  }

  /** When this follower was last heard in this term, whatever its word counts. */
  get heardMs(): MonotonicMs {
    return this.#heardMs;
  }

  /** When it was last heard as one that counts (CheckQuorum, thesis 6.2). */
  get countedMs(): MonotonicMs {
    return this.#countedMs;
  }

  get nextIndex(): LogIndex {
    return this.#nextIndex;
  }

  get inflight(): number {
    return this.#inflightIndexes.length;
  }

  /**
   * A message of this term came from it. Returns true when the follower counts from now on: within
   * a term it can become whole, and never the other way round, since new damage raises its term.
   */
  heard(now: MonotonicMs, isRecovering: boolean): boolean {
    this.#heardMs = now;
    if (isRecovering) return false;
    this.#countedMs = now;
    const isNews = !this.#isWhole;
    this.#isWhole = true;
    return isNews;
  }

  /**
   * Under load the next append brings the commit index within a millisecond, and a message of its
   * own would cost as much as that append. Without load it must not wait for a heartbeat.
   */
  tick(): void {
    this.#noticeDue = this.inflight === 0;
  }

  /** True when an append with entries may go out now. */
  get canSend(): boolean {
    if (this.#state === "probe") return !this.#probeSent;
    return this.#state === "replicate" && !this.#windowIsFull();
  }

  /** True when an append is due even though it would carry no entries. */
  isEmptyAppendDue(commitIndex: LogIndex): boolean {
    if (this.#state === "probe") return !this.#probeSent;
    if (this.#state === "snapshot") return false;
    return this.#nudgeDue || (this.#noticeDue && this.#sentCommitIndex < commitIndex);
  }

  /** An append with entries up to `lastIndex` went out; none when lastIndex is nextIndex - 1. */
  appendSent(lastIndex: LogIndex, bytes: number, commitIndex: LogIndex): void {
    this.#nudgeDue = false;
    this.#noticeDue = false;
    this.commitSent(Math.min(commitIndex, lastIndex));
    if (this.#state === "probe") {
      this.#probeSent = true;
      return;
    }
    assert(this.#state === "replicate", "no append leaves while a snapshot is under way");
    if (lastIndex < this.#nextIndex) return;
    this.#nextIndex = lastIndex + 1;
    this.#inflightIndexes.push(lastIndex);
    this.#inflightSizes.push(bytes);
    this.#inflightBytes += bytes;
  }

  /** The follower was told about this commit index. */
  commitSent(commitIndex: LogIndex): void {
    if (commitIndex > this.#sentCommitIndex) this.#sentCommitIndex = commitIndex;
  }

  /** The follower holds everything up to `index`. Returns true when that is news. */
  accepted(index: LogIndex, firstIndex: LogIndex): boolean {
    const isNews = index > this.#matchIndex;
    if (isNews) this.#matchIndex = index;
    this.#releaseWindow(index);
    if (this.#state === "probe") this.#becomeReplicate();
    // A late acknowledgement can show that the follower does not need the snapshot.
    else if (this.#state === "snapshot" && this.#matchIndex + 1 >= firstIndex) {
      this.#becomeReplicate();
    }
    return isNews;
  }

  /**
   * The follower does not hold `rejectedIndex`; the logs may agree at `agreeIndex`. Returns false
   * for an answer to something older than what the leader knows by now.
   */
  rejected(rejectedIndex: LogIndex, agreeIndex: LogIndex): boolean {
    if (rejectedIndex <= this.#matchIndex || this.#state === "snapshot") return false;
    if (this.#state === "replicate") {
      this.#becomeProbe(this.#matchIndex + 1);
      return true;
    }
    if (rejectedIndex !== this.#nextIndex - 1) return false;
    const next = Math.min(rejectedIndex, agreeIndex + 1);
    this.#becomeProbe(Math.max(next, this.#matchIndex + 1));
    return true;
  }

  /** Messages were lost: what is in flight counts for nothing. */
  lost(): void {
    if (this.#state === "replicate") this.#becomeProbe(this.#matchIndex + 1);
  }

  snapshotSent(index: LogIndex): void {
    assert(this.#state !== "snapshot", "one snapshot at a time to one follower");
    this.#clearWindow();
    this.#state = "snapshot";
    this.#snapshotIndex = index;
  }

  /**
   * The transfer ended. Either way the next append waits for an answer to a heartbeat: after a
   * success the follower is still installing, after a failure it should have time to come back.
   */
  snapshotEnded(isDelivered: boolean): void {
    if (this.#state !== "snapshot") return;
    const next = isDelivered ? Math.max(this.#matchIndex, this.#snapshotIndex) + 1 : undefined;
    this.#becomeProbe(next ?? this.#matchIndex + 1);
    this.#probeSent = true;
  }

  /**
   * A heartbeat came back, so the follower is there: probe again. When the window did not move
   * since the heartbeat before, an append or its answer may be lost: ask with an empty append.
   */
  heartbeatAnswered(): void {
    if (this.#state === "probe") this.#probeSent = false;
    if (this.#state !== "replicate" || this.inflight === 0) return;
    this.#nudgeDue = this.#stalledMatchIndex === this.#matchIndex;
    this.#stalledMatchIndex = this.#matchIndex;
  }

  #becomeProbe(nextIndex: LogIndex): void {
    this.#clearWindow();
    this.#state = "probe";
    this.#probeSent = false;
    this.#nextIndex = nextIndex;
    this.#sentCommitIndex = Math.min(this.#sentCommitIndex, this.#matchIndex);
    assert(this.#matchIndex < this.#nextIndex, "matchIndex is below nextIndex");
  }

  #becomeReplicate(): void {
    this.#clearWindow();
    this.#state = "replicate";
    this.#nextIndex = this.#matchIndex + 1;
    this.#nudgeDue = false;
    this.#stalledMatchIndex = -1;
  }

  #windowIsFull(): boolean {
    const { inflightMessagesMax, inflightBytesMax } = this.#limits;
    return this.inflight >= inflightMessagesMax || this.#inflightBytes >= inflightBytesMax;
  }

  #releaseWindow(index: LogIndex): void {
    while ((this.#inflightIndexes[0] ?? Number.POSITIVE_INFINITY) <= index) {
      this.#inflightIndexes.shift();
      this.#inflightBytes -= this.#inflightSizes.shift() ?? 0;
    }
    if (this.#nextIndex <= index) this.#nextIndex = index + 1;
  }

  #clearWindow(): void {
    this.#inflightIndexes.length = 0;
    this.#inflightSizes.length = 0;
    this.#inflightBytes = 0;
  }
}
