/** Configuration x ConfChange -> Configuration. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type ConfChange, changeMembership, findMember, votersOf } from "./membership.ts";
import { member, members } from "./testing/bench.ts";
import type { Configuration } from "./types.ts";

function changed(configuration: Configuration, change: ConfChange): Configuration {
  const result = changeMembership(configuration, change);
  assert.ok(result.kind === "changed", `${change.kind} is allowed`);
  return result.configuration;
}

function refusal(configuration: Configuration, change: ConfChange): string {
  const result = changeMembership(configuration, change);
  assert.ok(result.kind === "refused", `${change.kind} is refused`);
  return result.reason;
}

test("a new member starts as a learner, whatever it says, in its place by id", () => {
  const before = members([1, 5, 10]);
  const after = changed(before, { kind: "add-learner", member: member(9, "voter") });
  assert.deepEqual(after, members([1, 5, 10], [9]));
  assert.deepEqual(votersOf(after), [1, 5, 10]);
  assert.deepEqual(before, members([1, 5, 10]), "the old configuration is left alone");
});

test("a learner becomes a voter by promotion", () => {
  const after = changed(members([1, 2], [3]), { kind: "promote", id: 3 });
  assert.deepEqual(after, members([1, 2, 3]));
});

test("voters and learners can be removed, but not the last voter", () => {
  assert.deepEqual(changed(members([1, 2, 3]), { kind: "remove", id: 2 }), members([1, 3]));
  assert.deepEqual(changed(members([1], [2]), { kind: "remove", id: 2 }), members([1]));
  assert.equal(refusal(members([1], [2]), { kind: "remove", id: 1 }), "last-voter");
});

test("an incarnation is recorded once", () => {
  const unmet = { ...member(2), incarnation: 0 };
  const before: Configuration = { members: [member(1), unmet] };
  const identify = { kind: "identify", id: 2, incarnation: 77 } as const;
  const after = changed(before, identify);
  assert.equal(findMember(after, 2)?.incarnation, 77);
  assert.equal(findMember(after, 2)?.role, "voter");
  assert.equal(refusal(after, identify), "already-identified");
});

test("changes that make no sense are refused with the reason", () => {
  const before = members([1, 2], [3]);
  const again = { kind: "add-learner", member: member(3, "learner") } as const;
  assert.equal(refusal(before, again), "already-member");
  assert.equal(refusal(before, { kind: "promote", id: 1 }), "already-member");
  assert.equal(refusal(before, { kind: "promote", id: 9 }), "unknown-member");
  assert.equal(refusal(before, { kind: "remove", id: 9 }), "unknown-member");
  const stranger = { kind: "identify", id: 9, incarnation: 1 } as const;
  assert.equal(refusal(before, stranger), "unknown-member");
});

test("a change of one server leaves majorities that overlap (thesis 4.1)", () => {
  const before = members([1, 2, 3, 4]);
  const grown = changed(members([1, 2, 3, 4], [5]), { kind: "promote", id: 5 });
  const shrunk = changed(before, { kind: "remove", id: 4 });
  for (const after of [grown, shrunk]) {
    const old = votersOf(before).length;
    const all = new Set([...votersOf(before), ...votersOf(after)]).size;
    const majorities = Math.floor(old / 2) + 1 + Math.floor(votersOf(after).length / 2) + 1;
    assert.ok(majorities > all);
  }
});
