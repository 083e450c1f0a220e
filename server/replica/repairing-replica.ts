/**
 * What stands in the place of a replica while its log is repaired: it talks to the other members
 * for a repair session, and lends them what it holds intact, so that damage spread over all of them
 * is repaired as long as each entry is whole somewhere. It takes no part in Raft; envelopes are
 * dropped.
 */
import {
  type Clock,
  type Configuration,
  type IndexedConfiguration,
  NO_NODE,
  type NodeId,
} from "../../raft/index.ts";
import type { DamageSurvey, Rebuild, ReceivedSnapshot } from "../../storage/index.ts";
import type {
  Caller,
  Forward,
  PeerMessage,
  RepairRequest,
  Transport,
  TransportEvents,
} from "../peer/index.ts";
import { Acquaintances } from "./acquaintances.ts";
import { BrokenLog, type LogPiece } from "./broken-log.ts";
import { lendEntries } from "./lend-entries.ts";
import type { MembershipView, ReplicaLog } from "./options.ts";
import { type RepairProgress, type RepairResult, RepairSession } from "./repair-session.ts";

export interface RepairingOptions<Result> {
  readonly survey: DamageSurvey;
  /** In force when the disk knows no other. */
  readonly initialConfiguration: Configuration;
  readonly clock: Clock;
  readonly openTransport: (
    events: TransportEvents<Result>,
    member: MembershipView,
  ) => Transport<Result>;
  readonly discardSnapshot: (received: ReceivedSnapshot) => void;
  readonly log: ReplicaLog;
  /** Called once, when nothing is open any more: the log can be rebuilt. */
  readonly done: (result: RepairResult) => void;
}

export class RepairingReplica<Result> implements MembershipView {
  /** A node with a damaged past has a past. */
  readonly isFresh = false;
  /** It may not show a configuration that a repair may take back. */
  readonly configurationIndex = 0;
  readonly configuration: Configuration;
  readonly #acquaintances: Acquaintances;
  readonly #options: RepairingOptions<Result>;
  readonly #self: NodeId;
  readonly #log: BrokenLog;
  readonly #session: RepairSession;
  readonly #transport: Transport<Result>;
  #lastWaiting = "";
  /** Who waits for the network to be let go of, once that has begun. */
  #closing: (() => void)[] | undefined;

  constructor(options: RepairingOptions<Result>) {
    const { survey, clock } = options;
    this.#options = options;
    this.#self = survey.identity.nodeId;
    const known = configurationOf(survey, options.initialConfiguration);
    this.configuration = known.configuration;
    // The members may all be others by now; those that lead them make themselves known.
    this.#acquaintances = new Acquaintances(
      { configuration: known.configuration, committedConfiguration: known },
      () => this.#transport.setMembers(this.#acquaintances.members),
    );
    this.#log = brokenLogOf(survey);
    this.#transport = options.openTransport(this.#events(), this);
    this.#transport.setMembers(this.#acquaintances.members);
    this.#session = new RepairSession(
      {
        self: this.#self,
        others: () => this.#acquaintances.members.filter(({ id }) => id !== this.#self),
        clock,
        ask: (request) => this.#transport.tell(request),
        discard: options.discardSnapshot,
        waiting: (progress) => this.#logWaiting(progress),
        done: (result) => this.close(() => options.done(result)),
      },
      {
        log: this.#log,
        snapshot: survey.snapshot,
        isTailKnown: survey.isTailKnown && !survey.isRecovering,
      },
    );
  }

  get progress(): RepairProgress {
    return this.#session.progress;
  }

  checkMember(caller: Caller): "member" | "unknown" | "wrong-incarnation" {
    return this.#acquaintances.check(caller);
  }

  /** Ends the session, with or without a result, and lets go of the network. */
  close(done: () => void): void {
    if (this.#closing !== undefined) {
      this.#closing.push(done);
      return;
    }
    const waiting = [done];
    this.#closing = waiting;
    this.#session.cancel();
    this.#transport.close(() => {
      for (const closed of waiting) closed();
    });
  }

  #events(): TransportEvents<Result> {
    return {
      message: (message) => this.#take(message),
      snapshotReceived: (_envelope, received) => {
        if (this.#closing !== undefined) this.#options.discardSnapshot(received);
        else this.#session.snapshotReceived(received);
      },
      snapshotSent: () => {},
      peerUp: () => {},
      peerDown: () => {},
    };
  }

  #take(message: PeerMessage<Result>): void {
    if (this.#closing !== undefined) return;
    if (message.kind === "repair-answer") this.#session.answered(message);
    else if (message.kind === "repair-request") this.#answer(message);
    else if (message.kind === "forward") this.#refuse(message);
  }

  /** A member that takes this node for the leader it was a moment ago need not wait in vain. */
  #refuse({ from, originIncarnation, requests }: Forward): void {
    const outcome = { kind: "not-applied", reason: "no-leader", leader: undefined } as const;
    const results = requests.map(({ id }) => ({ id, outcome }));
    const message = { kind: "forward-results", from: this.#self, to: from } as const;
    this.#transport.forwardResults({ ...message, originIncarnation, results });
  }

  #answer(request: RepairRequest): void {
    this.#transport.tell({
      kind: "repair-answer",
      from: this.#self,
      to: request.from,
      last: request.last,
      entries: lendEntries(request, (index) => this.#log.entry(index)),
      state: "repairing",
      hasLeader: false,
      // To be had once this node runs again: the one who asks may wait for it.
      snapshotIndex: this.#options.survey.snapshot?.metadata.index ?? 0,
    });
  }

  /** Said again only when something has changed: it may last as long as a member is away. */
  #logWaiting(progress: RepairProgress): void {
    const text = `${progress.missingEntries} ${progress.helpers.join(" ")}`;
    if (text === this.#lastWaiting) return;
    this.#lastWaiting = text;
    this.#options.log.warn(
      { ...progress },
      "repairing: no member that answers has what is missing",
    );
  }
}

/** The newest the disk knows, committed or not: it is in force since it was appended. */
export function configurationOf(
  survey: DamageSurvey,
  initial: Configuration,
): IndexedConfiguration {
  return survey.configuration ?? { index: 0, configuration: initial };
}

/**
 * A log that is not proven to be what it was goes on in a term above all this node took part in, so
 * that nothing it acknowledged and may have lost is counted again (raft/recovering.ts). Nor is it
 * known which of its last entries were replaced before: none counts as committed but those of a
 * snapshot.
 */
export function rebuildOf(survey: DamageSurvey, result: RepairResult): Rebuild {
  const { entries, received } = result;
  const snapshot = (received?.description ?? survey.snapshot)?.metadata;
  const commitIndex = snapshot?.index ?? 0;
  // A member's snapshot may be of a later term than this node ever lived in, and voted in.
  const lastTerm = Math.max(snapshot?.term ?? 0, entries.at(-1)?.term ?? 0);
  const isLater = lastTerm > survey.hardState.term;
  const latest = isLater ? { term: lastTerm, vote: NO_NODE, commitIndex } : survey.hardState;
  const isRecovering = result.kind === "recovering";
  const hardState = isRecovering ? { term: latest.term + 1, vote: NO_NODE, commitIndex } : latest;
  return { snapshot: received, entries, hardState, isRecovering };
}

function brokenLogOf(survey: DamageSurvey): BrokenLog {
  const { start, prefix, islands, lost, lastKnownIndex, isTailKnown } = survey;
  const pieces: { readonly at: number; readonly piece: LogPiece }[] = [
    ...islands.map((entries) => ({
      at: entries[0]?.index ?? 0,
      piece: { kind: "entries", entries } as const,
    })),
    ...lost.map((point) => ({ at: point.index, piece: { kind: "lost", point } as const })),
  ];
  const inOrder = pieces.sort((a, b) => a.at - b.at).map(({ piece }) => piece);
  // Where the end is not known, nothing could prove what stood there.
  const reachedIndex = isTailKnown ? lastKnownIndex : 0;
  return new BrokenLog(start, [{ kind: "entries", entries: prefix }, ...inOrder], reachedIndex);
}
