import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Role } from "../../raft/index.ts";
import { LeaderDuties } from "./leader-duties.ts";

const SELF = 1;

/** Node 1 of three, as far as a leader's duties look at it. */
class Bench {
  role: Role = "leader";
  term = 1;
  hasRoom = true;
  /** To whom leadership was offered, once for each try. */
  readonly offers: number[] = [];
  timesProposed = 0;
  readonly #duties: LeaderDuties<string>;

  constructor() {
    const role = (): Role => this.role;
    const term = (): number => this.term;
    this.#duties = new LeaderDuties<string>({
      node: {
        get role() {
          return role();
        },
        get term() {
          return term();
        },
        lastIndex: 7,
        status: () => ({ id: SELF, progress: [followerAt(2, 5), followerAt(3, 6)] }),
        clusterTime: () => 100,
        proposeTime: () => {
          this.timesProposed += 1;
          return { kind: "overloaded" };
        },
        transferLeadership: (to) => {
          this.offers.push(to);
          return "started";
        },
      },
      storage: { hasRoom: () => this.hasRoom },
      machine: { nextDeadline: () => 50 },
      isLinked: () => true,
    });
  }

  tick(role: Role, hasRoom: boolean, term = this.term): void {
    this.role = role;
    this.term = term;
    this.hasRoom = hasRoom;
    this.#duties.tick(1, 0);
  }
}

function followerAt(id: number, matchIndex: number) {
  const progress = { role: "voter", state: "replicate", active: true, inflight: 0 } as const;
  return { id, matchIndex, nextIndex: matchIndex + 1, ...progress };
}

describe("a leader whose disk is full", () => {
  test("offers leadership to whoever is furthest along, until somebody takes it", () => {
    const bench = new Bench();
    bench.tick("leader", true);
    assert.deepEqual(bench.offers, []);
    bench.tick("leader", false);
    bench.tick("leader", false);
    assert.deepEqual(bench.offers, [3, 3]);
  });

  test("keeps it when it comes back: all may be full, and each election takes space", () => {
    const bench = new Bench();
    bench.tick("leader", false);
    bench.tick("follower", false, 2);
    bench.tick("leader", false, 3);
    bench.tick("leader", false);
    assert.deepEqual(bench.offers, [3]);
  });

  test("keeps it also when it was away for less than a tick", () => {
    const bench = new Bench();
    bench.tick("leader", false);
    bench.tick("leader", false, 3);
    bench.tick("leader", false, 5);
    assert.deepEqual(bench.offers, [3]);
  });

  test("gives way again the next time it is full", () => {
    const bench = new Bench();
    bench.tick("leader", false);
    bench.tick("follower", false, 2);
    bench.tick("follower", true);
    bench.tick("leader", false, 3);
    assert.deepEqual(bench.offers, [3, 3]);
  });

  test("writes no time entries", () => {
    const bench = new Bench();
    bench.tick("leader", false);
    assert.equal(bench.timesProposed, 0);
    bench.tick("leader", true);
    assert.equal(bench.timesProposed, 1);
  });
});
