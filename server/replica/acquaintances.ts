/**
 * Whom this node talks to. A leader, and a candidate that deserves the vote, need not be in the
 * newest configuration this node knows (thesis 4.1): a new member knows none at all, and one that
 * was away while others were replaced knows none of those who lead now. To take calls from just
 * anybody would give a removed member its voice back. So a caller is taken when it is
 *
 * - a member by the newest configuration, or by the committed one: a leader that is only in the
 *   latter may be about to take the newest back;
 * - or a guest, who knows of a configuration behind the committed one here. Whoever was elected
 *   holds all that was committed (leader completeness, Figure 3): it is in that configuration, or
 *   knows a newer one. Who was removed was left with an older one.
 *
 * Nothing in Raft's safety rests on this; it decides who is heard at all.
 */
import type { Configuration, IndexedConfiguration, Member, RaftNode } from "../../raft/index.ts";
import type { Caller } from "../peer/index.ts";
import { checkMember } from "./bootstrap.ts";

/** More members than that can not have come while this one was away. */
const GUESTS_MAX = 16;

export class Acquaintances {
  readonly #node: Pick<RaftNode, "configuration" | "committedConfiguration">;
  /** There is somebody new. */
  readonly #changed: () => void;
  readonly #guests = new Map<number, Caller>();
  #newest: Configuration | undefined;
  #committed: IndexedConfiguration | undefined;
  #hasNewGuest = false;

  constructor(
    node: Pick<RaftNode, "configuration" | "committedConfiguration">,
    changed: () => void,
  ) {
    this.#node = node;
    this.#changed = changed;
  }

  check(caller: Caller): "member" | "unknown" | "wrong-incarnation" {
    const { configuration, committedConfiguration: committed } = this.#node;
    const { id, incarnation } = caller;
    const standing = checkMember(configuration, id, incarnation);
    if (standing !== "unknown") return standing;
    const formerly = checkMember(committed.configuration, id, incarnation);
    if (formerly !== "unknown") return formerly;
    if (caller.configurationIndex <= committed.index) return "unknown";
    return this.#admit(caller) ? "member" : "unknown";
  }

  /** True when `members` may have changed since it was asked for. */
  get haveChanged(): boolean {
    const { configuration, committedConfiguration } = this.#node;
    const isSame = this.#newest === configuration && this.#committed === committedConfiguration;
    return !isSame || this.#hasNewGuest;
  }

  /** To call, each by what is newest of it. */
  get members(): readonly Member[] {
    const { configuration, committedConfiguration: committed } = this.#node;
    this.#newest = configuration;
    this.#committed = committed;
    this.#hasNewGuest = false;
    for (const [id, { configurationIndex }] of this.#guests) {
      if (configurationIndex <= committed.index) this.#guests.delete(id);
    }
    const known = new Map<number, Member>();
    for (const guest of this.#guests.values()) known.set(guest.id, memberOf(guest));
    for (const member of committed.configuration.members) known.set(member.id, member);
    for (const member of configuration.members) known.set(member.id, member);
    return [...known.values()];
  }

  #admit(caller: Caller): boolean {
    const known = this.#guests.get(caller.id);
    if (known === undefined && this.#guests.size >= GUESTS_MAX) return false;
    this.#guests.set(caller.id, caller);
    if (known?.peerAddress === caller.peerAddress) return true;
    this.#hasNewGuest = true;
    this.#changed();
    return true;
  }
}

/** What there is to know of a guest before its configuration is here. */
function memberOf({ id, incarnation, peerAddress }: Caller): Member {
  return { id, incarnation, role: "learner", peerAddress, clientAddress: "" };
}
