/**
 * The key-value state machine: what the log means. Owns records, the store's revision and sessions;
 * knows nothing of replication, disks or protocols.
 *
 * - A function of the log alone: two replicas that applied the same entries are equal, down to the
 *   bytes of their snapshots. No clock but the entries' stamps, no randomness but the commands'.
 * - The revision rises by one with every command that changes something, and with no other.
 * - What is handed out is a copy, and what is pinned is copied before it changes: neither changes.
 * - A bad command is an answer. What a newer build understands and this one does not is an error
 *   that ends the process: replicas must stop rather than drift apart.
 */
import {
  type CommandEntry,
  type Entry,
  type StateCapture,
  type StateMachine,
  type StateRestore,
  unreachable,
} from "../../raft/index.ts";
import type { Condition, SessionStamp } from "./command.ts";
import { type DeleteCommand, decodeCommand, type PutCommand } from "./command-decoder.ts";
import { UnsupportedFeatureLevelError } from "./errors.ts";
import type { KvReader, ListPage, ListQuery } from "./reader.ts";
import type { ByteString, KvRecord } from "./record.ts";
import { RecordMap } from "./record-map.ts";
import type { KvResult } from "./result.ts";
import { type RememberedResult, SESSION_LIMITS, type SessionLimits, Sessions } from "./sessions.ts";
import type { StateNumbers } from "./snapshot-format.ts";
import { KvStateCapture } from "./state-capture.ts";
import { type StateHash, StateHasher } from "./state-hash.ts";
import { type RestoredKvState, StateReader } from "./state-reader.ts";
import type { StoredRecord } from "./stored-record.ts";

/** The newest feature level this build understands. */
export const FEATURE_LEVEL_MAX = 1;

const MALFORMED: KvResult = { kind: "malformed" };

export class KvStateMachine implements StateMachine<KvResult>, KvReader {
  readonly #sessionLimits: SessionLimits;
  #records = new RecordMap();
  #sessions: Sessions;
  #revision = 0;
  #compactedRevision = 0;
  #featureLevel = 0;
  #clusterTime = 0;
  #hasher = new StateHasher();

  /** The limits are part of what a log means: all members of a cluster have the same. */
  constructor(sessionLimits: SessionLimits = SESSION_LIMITS) {
    this.#sessionLimits = sessionLimits;
    this.#sessions = new Sessions(sessionLimits, this.#hasher);
  }

  get revision(): number {
    return this.#revision;
  }

  get keyCount(): number {
    return this.#records.size;
  }

  get sessionCount(): number {
    return this.#sessions.size;
  }

  get featureLevel(): number {
    return this.#featureLevel;
  }

  /** Of the whole state; equal on all replicas that have applied the same entries. */
  get hash(): StateHash {
    return this.#hasher.value(this.#numbers);
  }

  get(key: ByteString): KvRecord | undefined {
    return this.#records.find(key)?.copy();
  }

  list(query: ListQuery): ListPage {
    const items: { key: ByteString; record: KvRecord }[] = [];
    let next: ByteString | undefined;
    let bytes = 0;
    this.#records.scan(query.start, query.end, (key, record) => {
      bytes += key.length + record.value.length;
      const isFull = items.length >= query.limit || (items.length > 0 && bytes > query.bytesMax);
      if (isFull) next = key;
      else items.push({ key, record: record.copy() });
      return !isFull;
    });
    return { items, next };
  }

  apply(entries: readonly Entry[], answer: (entry: CommandEntry, result: KvResult) => void): void {
    for (const entry of entries) {
      this.#clusterTime = entry.time;
      this.#sessions.expire(entry.time);
      switch (entry.type) {
        case "command":
          answer(entry, this.#execute(entry));
          break;
        case "feature-level":
          this.#raiseFeatureLevel(entry.level);
          break;
        // Their stamps have done their work, and the rest is the business of raft/.
        case "noop":
        case "conf-change":
        case "time":
          break;
        default:
          unreachable(entry);
      }
    }
  }

  nextDeadline(): number | undefined {
    return this.#sessions.nextDeadline();
  }

  capture(): StateCapture {
    const all = this.#records;
    const records = all.pin(this.#revision);
    const summary = { ...this.#numbers, hash: this.hash };
    const pinned = { summary, records, sessions: this.#sessions.pin() };
    return new KvStateCapture(pinned, () => all.unpin(records));
  }

  beginRestore(): StateRestore {
    const reader = new StateReader();
    return {
      chunk: (bytes) => reader.push(bytes),
      end: () => this.#replace(reader.finish()),
    };
  }

  get #numbers(): StateNumbers {
    return {
      revision: this.#revision,
      compactedRevision: this.#compactedRevision,
      featureLevel: this.#featureLevel,
      clusterTime: this.#clusterTime,
    };
  }

  #replace({ summary, records, sessions, hasher }: RestoredKvState): void {
    this.#checkFeatureLevel(summary.featureLevel);
    this.#revision = summary.revision;
    this.#compactedRevision = summary.compactedRevision;
    this.#featureLevel = summary.featureLevel;
    this.#clusterTime = summary.clusterTime;
    this.#records = records;
    this.#hasher = hasher;
    this.#sessions = new Sessions(this.#sessionLimits, hasher, sessions);
  }

  #raiseFeatureLevel(level: number): void {
    this.#checkFeatureLevel(level);
    this.#featureLevel = Math.max(this.#featureLevel, level);
  }

  #checkFeatureLevel(level: number): void {
    if (level <= FEATURE_LEVEL_MAX) return;
    throw new UnsupportedFeatureLevelError(
      `the cluster is at feature level ${level}, this build understands ${FEATURE_LEVEL_MAX}; ` +
        "start the build that the other members run",
    );
  }

  #execute(entry: CommandEntry): KvResult {
    const command = decodeCommand(entry.data);
    switch (command.kind) {
      case "put":
      case "delete":
        return command.session === undefined
          ? this.#write(command)
          : this.#writeOnce(command, command.session, entry.time);
      case "open-session":
        return this.#sessions.open(entry.time, entry.index, command.random, command.principal);
      case "close-session":
        return this.#sessions.close(command.id, command.principal);
      case "malformed":
        return MALFORMED;
      default:
        return unreachable(command);
    }
  }

  /** A refused condition is an answer like any other: the repeat must not find it fulfilled. */
  #writeOnce(command: PutCommand | DeleteCommand, stamp: SessionStamp, time: number): KvResult {
    const { fingerprint, principal } = command;
    const settled = this.#sessions.admit(stamp, fingerprint, principal, time);
    if (settled !== undefined) return settled;
    const result = this.#write(command);
    this.#sessions.remember(stamp, fingerprint, result, time);
    return result;
  }

  #write(command: PutCommand | DeleteCommand): RememberedResult {
    const current = this.#records.find(command.key);
    if (!isMet(command.condition, current)) {
      return { kind: "condition-failed", revision: this.#revision, current: current?.copy() };
    }
    return command.kind === "put" ? this.#put(command, current) : this.#delete(command, current);
  }

  #put(command: PutCommand, current: StoredRecord | undefined): RememberedResult {
    const { key, value, type, wantPrevious } = command;
    const previous = wantPrevious ? current?.copy() : undefined;
    if (current !== undefined) this.#hasher.removeRecord(key, current, current.valueChecksum);
    this.#revision += 1;
    const record = this.#records.put(key, current, value, type, this.#revision);
    this.#hasher.addRecord(key, record, record.valueChecksum);
    const { revision, createRevision, version } = record;
    return wantPrevious
      ? { kind: "put", revision, createRevision, version, previous }
      : { kind: "put", revision, createRevision, version };
  }

  #delete(command: DeleteCommand, current: StoredRecord | undefined): RememberedResult {
    if (current === undefined) return { kind: "deleted", deleted: 0, revision: this.#revision };
    const { key, wantPrevious } = command;
    this.#hasher.removeRecord(key, current, current.valueChecksum);
    this.#records.delete(key, current);
    this.#revision += 1;
    return wantPrevious
      ? { kind: "deleted", deleted: 1, revision: this.#revision, previous: current.copy() }
      : { kind: "deleted", deleted: 1, revision: this.#revision };
  }
}

function isMet(condition: Condition, current: KvRecord | undefined): boolean {
  switch (condition.kind) {
    case "none":
      return true;
    case "exists":
      return current !== undefined;
    case "absent":
      return current === undefined;
    case "revision":
      return current !== undefined && current.revision === condition.revision;
    default:
      return unreachable(condition);
  }
}
