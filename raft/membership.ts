/**
 * Membership as a pure function: Configuration x ConfChange -> Configuration, or a refusal
 * (thesis 4.1: one server at a time). When a change may be proposed at all is not decided here.
 *
 * Invariants: members stay sorted by id; a configuration keeps at least one voter; a new member
 * starts as a learner (thesis 4.2.1).
 */
import { unreachable } from "./assert.ts";
import type { Configuration, Member, NodeId } from "./types.ts";

export type ConfChange =
  | { readonly kind: "add-learner"; readonly member: Member }
  | { readonly kind: "promote"; readonly id: NodeId }
  | { readonly kind: "remove"; readonly id: NodeId }
  /** Records the incarnation of a first member, which was 0 until it was met. */
  | { readonly kind: "identify"; readonly id: NodeId; readonly incarnation: number };

export type MembershipRefusal =
  | "unknown-member"
  | "already-member"
  | "last-voter"
  | "already-identified";

export type MembershipChanged =
  | { readonly kind: "changed"; readonly configuration: Configuration }
  | { readonly kind: "refused"; readonly reason: MembershipRefusal };

export function changeMembership(
  configuration: Configuration,
  change: ConfChange,
): MembershipChanged {
  switch (change.kind) {
    case "add-learner":
      return addLearner(configuration, change.member);
    case "promote":
      return promote(configuration, change.id);
    case "remove":
      return remove(configuration, change.id);
    case "identify":
      return identify(configuration, change.id, change.incarnation);
    default:
      return unreachable(change);
  }
}

export function findMember(configuration: Configuration, id: NodeId): Member | undefined {
  return configuration.members.find((member) => member.id === id);
}

export function votersOf(configuration: Configuration): readonly NodeId[] {
  return configuration.members
    .filter((member) => member.role === "voter")
    .map((member) => member.id);
}

function addLearner(configuration: Configuration, member: Member): MembershipChanged {
  if (findMember(configuration, member.id) !== undefined) return refused("already-member");
  return changed([...configuration.members, { ...member, role: "learner" }]);
}

function promote(configuration: Configuration, id: NodeId): MembershipChanged {
  const member = findMember(configuration, id);
  if (member === undefined) return refused("unknown-member");
  if (member.role === "voter") return refused("already-member");
  return changed(replaced(configuration, { ...member, role: "voter" }));
}

function remove(configuration: Configuration, id: NodeId): MembershipChanged {
  const member = findMember(configuration, id);
  if (member === undefined) return refused("unknown-member");
  const voters = votersOf(configuration);
  if (member.role === "voter" && voters.length === 1) return refused("last-voter");
  return changed(configuration.members.filter((other) => other.id !== id));
}

function identify(
  configuration: Configuration,
  id: NodeId,
  incarnation: number,
): MembershipChanged {
  const member = findMember(configuration, id);
  if (member === undefined) return refused("unknown-member");
  if (member.incarnation !== 0) return refused("already-identified");
  return changed(replaced(configuration, { ...member, incarnation }));
}

function replaced(configuration: Configuration, member: Member): readonly Member[] {
  return configuration.members.map((other) => (other.id === member.id ? member : other));
}

function changed(members: readonly Member[]): MembershipChanged {
  return {
    kind: "changed",
    configuration: { members: members.toSorted((a, b) => a.id - b.id) },
  };
}

function refused(reason: MembershipRefusal): MembershipChanged {
  return { kind: "refused", reason };
}
