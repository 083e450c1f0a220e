/**
 * An operator who changes the membership at the worst moments (M1 to M5 of the fault matrix): new
 * machines join on empty disks, learners become voters, anybody is removed, the leader too, two
 * changes come at once, and in the end no machine of the first ones may be left. Like a careful
 * operator, this one repeats what was refused or has an unknown outcome, takes a new id for every
 * new machine, and switches a machine off only when its removal is committed. Some of those come
 * back with their old disks first.
 */
import type { ConfChange, Member, RaftStatus, SeededRandom } from "../../raft/index.ts";
import type { MembershipOutcome } from "../../server/replica/membership-changes.ts";
import { between, chance, pick, pickAny } from "./chance.ts";
import type { Cluster } from "./cluster.ts";
import type { FaultKind, Strike, Striking } from "./faults.ts";
import type { SimulatedNode } from "./node.ts";
import type { Process } from "./node-parts.ts";
import { require } from "./violation.ts";

/** One step of what the operator wants, by what the leader says. */
type Step = (leader: RaftStatus) => ConfChange | "done" | "abandon";

export const MEMBERSHIP_KINDS = [
  "add-learner",
  "promote",
  "remove-follower",
  "remove-leader",
  "replace-node",
  "concurrent-changes",
  "resize",
] as const;

type MembershipKind = (typeof MEMBERSHIP_KINDS)[number];

/** M4 of the fault matrix. */
const SIZES = [1, 2, 3, 5] as const;
/** Machines at one time, removed ones that still run included. */
const MACHINES_MAX = 9;
const PATIENCE_MS = 5_000;
const PAUSE_MS_MAX = 120;
const ANSWER_MS_MAX = 2_500;
const AFTERLIFE_MS_MAX = 3_000;

export function membershipStrikes(striking: Striking): readonly (readonly [FaultKind, Strike])[] {
  const operator = new Operator(striking);
  const { cluster } = striking;
  const perform =
    (kind: FaultKind, plan: (random: SeededRandom, victim: SimulatedNode) => readonly Step[]) =>
    (random: SeededRandom, victim: SimulatedNode): void => {
      if (operator.mayBegin) operator.perform(kind, random, plan(random, victim));
    };
  const mayGrow = (random: SeededRandom) => (chance(random, 0.6) ? grow(operator) : []);
  const strikes: Readonly<Record<MembershipKind, Strike>> = {
    "add-learner": perform("add-learner", () => [joins(operator.newMachine())]),
    promote: perform("promote", () => grow(operator)),
    "remove-follower": perform("remove-follower", (random) => {
      const target = pickAny(random, followersOf(cluster));
      return target === undefined ? [] : [...mayGrow(random), leaves(target)];
    }),
    "remove-leader": perform("remove-leader", (random) => [...mayGrow(random), leaderLeaves()]),
    "replace-node": perform("replace-node", (_random, { id }) => {
      const isMember = operator.members.some((member) => member.id === id);
      return isMember ? [...grow(operator), leaves(id)] : [];
    }),
    "concurrent-changes": (random) => {
      if (operator.mayBegin) operator.changeTwice(random);
    },
    resize: perform("resize", (random) => [resizes(operator, random, pick(random, SIZES))]),
  };
  return MEMBERSHIP_KINDS.map((kind) => [kind, strikes[kind]]);
}

class Operator {
  readonly #striking: Striking;
  /** Ids whose removal was asked for: they are never added again. */
  readonly #condemned = new Set<number>();
  /** It was told for certain that it is not added. */
  #spare: SimulatedNode | undefined;
  /** Removed machines that will be switched off. */
  readonly #leaving = new Set<SimulatedNode>();

  constructor(striking: Striking) {
    this.#striking = striking;
  }

  /** Nobody changes members while a disk is being repaired: another may be the only copy. */
  get mayBegin(): boolean {
    return this.#striking.cluster.nodes.every(({ isHurt }) => !isHurt);
  }

  /** Of the leader, committed or not; nobody while there is no leader. */
  get members(): readonly Member[] {
    return this.#striking.cluster.leader?.process?.replica.raft.configuration.members ?? [];
  }

  /** Undefined while there are too many. */
  newMachine(): SimulatedNode | undefined {
    const { cluster } = this.#striking;
    const spare = this.#spare;
    this.#spare = undefined;
    if (spare !== undefined) return spare;
    return cluster.nodes.length < MACHINES_MAX ? cluster.join() : undefined;
  }

  perform(kind: FaultKind, random: SeededRandom, steps: readonly Step[]): void {
    const { cluster } = this.#striking;
    if (steps.length === 0) return;
    cluster.hasChanged = true;
    const untilMs = cluster.scheduler.nowMs + PATIENCE_MS;
    this.#attempt({ kind, random, steps, untilMs });
  }

  /** Two at once: the second is refused, or the first was. */
  changeTwice(random: SeededRandom): void {
    const { cluster } = this.#striking;
    const process = cluster.leader?.process;
    const machine = process === undefined ? undefined : this.newMachine();
    if (process === undefined || machine === undefined) return;
    cluster.hasChanged = true;
    const target = pickAny(random, followersOf(cluster)) ?? machine.id;
    const outcomes: MembershipOutcome["kind"][] = [];
    process.clock.deliver(() => {
      const { replica } = process;
      let isFirstOpen = true;
      replica.changeMembership(additionOf(machine), ({ kind }) => {
        isFirstOpen = false;
        if (kind === "refused") this.#spare ??= machine;
      });
      if (!isFirstOpen) return;
      replica.changeMembership({ kind: "remove", id: target }, (outcome) => {
        outcomes.push(outcome.kind);
        if (!isFirstOpen || outcome.kind !== "refused") return;
        cluster.tally.count("concurrent-changes");
      });
      require(outcomes[0] === "refused", () => "two changes of the membership are under way");
    });
    this.#sweepLater(random);
  }

  #attempt(operation: Operation): void {
    const { cluster, later } = this.#striking;
    const { kind, random, steps, untilMs } = operation;
    this.#sweep(random);
    if (cluster.scheduler.nowMs > untilMs) return;
    const process = cluster.leader?.process;
    const again = (next: Operation): void =>
      later(between(random, 1, PAUSE_MS_MAX), () => this.#attempt(next));
    if (process === undefined || !this.mayBegin) {
      again(operation);
      return;
    }
    const [step, ...rest] = steps;
    const change = step?.(process.replica.raft) ?? "done";
    if (change === "abandon") return;
    if (change !== "done") {
      if (change.kind === "remove") this.#condemned.add(change.id);
      else if (change.kind === "add-learner" && this.#condemned.has(change.member.id)) return;
      this.#propose(process, change, () => again(operation));
      return;
    }
    if (rest.length === 0) cluster.tally.count(kind);
    else this.#attempt({ ...operation, steps: rest });
  }

  /** A process that dies owes no answer. */
  #propose(process: Process, change: ConfChange, done: () => void): void {
    const { cluster, later } = this.#striking;
    let isOver = false;
    const settle = (what: string): void => {
      if (isOver) return;
      isOver = true;
      cluster.tally.count(`${change.kind} ${what}`);
      cluster.trace.note(`membership: ${change.kind} ${what}`);
      done();
    };
    later(ANSWER_MS_MAX, () => settle("without an answer"));
    process.clock.deliver(() =>
      process.replica.changeMembership(change, (outcome) =>
        settle(outcome.kind === "refused" ? `refused: ${outcome.reason}` : outcome.kind),
      ),
    );
  }

  #sweepLater(random: SeededRandom): void {
    this.#striking.later(between(random, 1, PAUSE_MS_MAX), () => this.#sweep(random));
  }

  /** What was removed runs on for a while, or comes back once more with its old disk. */
  #sweep(random: SeededRandom): void {
    const { cluster, later } = this.#striking;
    for (const node of cluster.nodes) {
      if (!cluster.membership.isRemoved(node.id) || this.#leaving.has(node)) continue;
      this.#leaving.add(node);
      const lifeMs = between(random, 50, AFTERLIFE_MS_MAX);
      if (chance(random, 0.4)) {
        node.crash("everything");
        later(lifeMs / 2, () => {
          cluster.tally.count("a removed node is back");
          node.start();
        });
      }
      later(lifeMs, () => cluster.retire(node));
    }
  }
}

interface Operation {
  readonly kind: FaultKind;
  readonly random: SeededRandom;
  readonly steps: readonly Step[];
  readonly untilMs: number;
}

function joins(machine: SimulatedNode | undefined): Step {
  return ({ configuration }) => {
    if (machine === undefined) return "abandon";
    const isMember = configuration.members.some(({ id }) => id === machine.id);
    return isMember ? "done" : additionOf(machine);
  };
}

/** A learner becomes a voter; a new one, when there is none. */
function grow(operator: Operator): readonly Step[] {
  const waiting = operator.members.find(({ role }) => role === "learner");
  if (waiting !== undefined) return [rises(waiting.id)];
  const machine = operator.newMachine();
  return machine === undefined ? [] : [joins(machine), rises(machine.id)];
}

function rises(id: number): Step {
  return ({ configuration }) => {
    const member = configuration.members.find((candidate) => candidate.id === id);
    if (member === undefined) return "abandon";
    return member.role === "voter" ? "done" : { kind: "promote", id };
  };
}

function leaves(id: number): Step {
  return ({ configuration: { members } }) => {
    if (!members.some((member) => member.id === id)) return "done";
    const others = members.filter((member) => member.role === "voter" && member.id !== id);
    return others.length === 0 ? "abandon" : { kind: "remove", id };
  };
}

/** Whoever leads when it comes to that. */
function leaderLeaves(): Step {
  let step: Step | undefined;
  return (leader) => {
    step ??= leaves(leader.id);
    return step(leader);
  };
}

/** One by one, until there are so many voters (M4). */
function resizes(operator: Operator, random: SeededRandom, wanted: number): Step {
  let machine: SimulatedNode | undefined;
  return ({ configuration: { members } }) => {
    const voters = members.filter(({ role }) => role === "voter");
    if (voters.length === wanted) return "done";
    if (voters.length > wanted) {
      const target = pickAny(random, voters);
      return target === undefined ? "abandon" : { kind: "remove", id: target.id };
    }
    const learner = members.find(({ role }) => role === "learner");
    if (learner !== undefined) return { kind: "promote", id: learner.id };
    if (machine === undefined || members.some(({ id }) => id === machine?.id)) {
      machine = operator.newMachine();
    }
    return machine === undefined ? "abandon" : additionOf(machine);
  };
}

/** A machine that runs tells its incarnation; that of another the leader learns when they meet. */
function additionOf({ id, process }: SimulatedNode): ConfChange {
  const incarnation = process?.storage.identity.incarnation ?? 0;
  const addresses = { peerAddress: `node${id}:1`, clientAddress: `node${id}:2` };
  return { kind: "add-learner", member: { id, incarnation, role: "learner", ...addresses } };
}

function followersOf({ leader }: Cluster): readonly number[] {
  const members = leader?.process?.replica.raft.configuration.members ?? [];
  return members.filter(({ id }) => id !== leader?.id).map(({ id }) => id);
}
