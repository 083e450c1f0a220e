/**
 * A hash of the whole replicated state that costs next to nothing to keep: the sum of the hashes of
 * all items, so that inserting adds, removing subtracts, and order plays no part. Replicas that
 * applied the same log have equal sums; one that does not has a state of its own.
 *
 * - The value after any history equals the value computed from the state alone.
 * - Two lanes of 32-bit arithmetic, 64 bits in all: it finds accidents, not adversaries. A
 *   cryptographic hash would cost more than applying the command. Nothing is allocated but by
 *   `value`.
 * - A value takes part by its CRC-32, which native code computes once.
 * - Another way of hashing is another version; only equal versions are compared.
 */
import type { ByteString, KvRecord } from "./record.ts";
import type { Answer, Session } from "./sessions.ts";
import type { StateNumbers } from "./snapshot-format.ts";
import { checksumOf, valueTypeCode } from "./stored-record.ts";

export const HASH_VERSION = 1;

/** The hash as it is shown, sent and kept: 16 hexadecimal digits. */
export interface StateHash {
  readonly version: number;
  readonly value: string;
}

/** What the items of each kind begin with, so that equal fields of two kinds hash differently. */
const KIND_RECORD = 1;
const KIND_SESSION = 2;
const KIND_ANSWER = 3;
const KIND_NUMBERS = 4;

const RESULT_PUT = 1;
const RESULT_DELETED = 2;
const RESULT_CONDITION_FAILED = 3;

/**
 * Odd multipliers (of MurmurHash3 and xxHash). The lanes differ in multiplier and shift, so that
 * two differences that cancel in one do not in the other.
 */
const MULTIPLIER_A = 0x85ebca6b;
const MULTIPLIER_B = 0x9e3779b1;
const TWO_32 = 4294967296;

export class StateHasher {
  /** Over all items. */
  #sumA = 0;
  #sumB = 0;
  /** Of the item being hashed. */
  #a = 0;
  #b = 0;

  addRecord(key: ByteString, record: KvRecord, valueChecksum: number): void {
    this.#hashRecord(key, record, valueChecksum);
    this.#add();
  }

  removeRecord(key: ByteString, record: KvRecord, valueChecksum: number): void {
    this.#hashRecord(key, record, valueChecksum);
    this.#subtract();
  }

  /** Its answers are items of their own, because each write changes only a few of them. */
  addSession(id: string, session: Session): void {
    this.#hashSession(id, session);
    this.#add();
    for (const answer of session.answers) this.addAnswer(id, answer);
  }

  removeSession(id: string, session: Session): void {
    this.#hashSession(id, session);
    this.#subtract();
    for (const answer of session.answers) this.removeAnswer(id, answer);
  }

  /** All but the answers: those that come and go are told one by one. */
  renewSession(id: string, before: Session, after: Session): void {
    this.#hashSession(id, before);
    this.#subtract();
    this.#hashSession(id, after);
    this.#add();
  }

  addAnswer(sessionId: string, answer: Answer): void {
    this.#hashAnswer(sessionId, answer);
    this.#add();
  }

  removeAnswer(sessionId: string, answer: Answer): void {
    this.#hashAnswer(sessionId, answer);
    this.#subtract();
  }

  /** Of all items and the numbers about the whole. */
  value(numbers: StateNumbers): StateHash {
    this.#begin(KIND_NUMBERS);
    this.#number(numbers.revision);
    this.#number(numbers.compactedRevision);
    this.#number(numbers.featureLevel);
    this.#number(numbers.clusterTime);
    const a = (this.#sumA + finishA(this.#a)) >>> 0;
    const b = (this.#sumB + finishB(this.#b)) >>> 0;
    return { version: HASH_VERSION, value: hexadecimal(a) + hexadecimal(b) };
  }

  #hashRecord(key: ByteString, record: KvRecord, valueChecksum: number): void {
    this.#begin(KIND_RECORD);
    this.#text(key);
    this.#record(record, valueChecksum);
  }

  #hashSession(id: string, session: Session): void {
    this.#begin(KIND_SESSION);
    this.#text(id);
    this.#text(session.principal);
    this.#number(session.birth);
    this.#number(session.lastUse);
    this.#number(session.lowestUnanswered);
  }

  #hashAnswer(sessionId: string, { sequence, fingerprint, result }: Answer): void {
    this.#begin(KIND_ANSWER);
    this.#text(sessionId);
    this.#number(sequence);
    this.#number(fingerprint);
    this.#number(result.revision);
    switch (result.kind) {
      case "put":
        this.#word(RESULT_PUT);
        this.#number(result.createRevision);
        this.#number(result.version);
        return;
      case "deleted":
        this.#word(RESULT_DELETED);
        this.#number(result.deleted);
        return;
      case "condition-failed":
        this.#word(RESULT_CONDITION_FAILED);
        if (result.current !== undefined) {
          this.#record(result.current, checksumOf(result.current.value));
        }
        return;
    }
  }

  #record(record: KvRecord, valueChecksum: number): void {
    this.#word(valueTypeCode(record.type));
    this.#number(record.revision);
    this.#number(record.createRevision);
    this.#number(record.version);
    this.#number(record.lease);
    this.#number(record.expiresAt);
    this.#number(record.value.length);
    this.#word(valueChecksum);
  }

  #begin(kind: number): void {
    this.#a = kind;
    this.#b = kind;
  }

  #add(): void {
    this.#sumA = (this.#sumA + finishA(this.#a)) | 0;
    this.#sumB = (this.#sumB + finishB(this.#b)) | 0;
  }

  #subtract(): void {
    this.#sumA = (this.#sumA - finishA(this.#a)) | 0;
    this.#sumB = (this.#sumB - finishB(this.#b)) | 0;
  }

  /** Its length and its characters, four to a word. */
  #text(text: ByteString): void {
    const { length } = text;
    let a = mixA(this.#a, length);
    let b = mixB(this.#b, length);
    const wholeWords = length - (length % 4);
    let at = 0;
    for (; at < wholeWords; at += 4) {
      const word =
        text.charCodeAt(at) |
        (text.charCodeAt(at + 1) << 8) |
        (text.charCodeAt(at + 2) << 16) |
        (text.charCodeAt(at + 3) << 24);
      a = mixA(a, word);
      b = mixB(b, word);
    }
    for (; at < length; at += 1) {
      a = mixA(a, text.charCodeAt(at));
      b = mixB(b, text.charCodeAt(at));
    }
    this.#a = a;
    this.#b = b;
  }

  /** A safe integer: nearly all fit in one word. */
  #number(value: number): void {
    const low = value | 0;
    this.#word(low);
    if (low !== value) this.#word((value / TWO_32) | 0);
  }

  #word(word: number): void {
    this.#a = mixA(this.#a, word);
    this.#b = mixB(this.#b, word);
  }
}

/** For a given word no two lanes become one, and for a given lane no two words. */
function mixA(lane: number, word: number): number {
  const mixed = Math.imul(lane ^ word, MULTIPLIER_A);
  return mixed ^ (mixed >>> 15);
}

function mixB(lane: number, word: number): number {
  const mixed = Math.imul(lane ^ word, MULTIPLIER_B);
  return mixed ^ (mixed >>> 13);
}

/** The lanes of two items must not be related when they are added. */
function finishA(lane: number): number {
  const mixed = Math.imul(lane ^ (lane >>> 16), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}

function finishB(lane: number): number {
  const mixed = Math.imul(lane ^ (lane >>> 15), 0x85ebca77);
  return mixed ^ (mixed >>> 13);
}

/** A lane as eight digits. */
export function hexadecimal(word: number): string {
  return word.toString(16).padStart(8, "0");
}
