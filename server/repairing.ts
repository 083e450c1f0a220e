/**
 * The node while it repairs what its disk lost: what the members still hold comes from them, and
 * the log is rebuilt before the node becomes a member again.
 *
 * Invariant: alone, a node repairs nothing. There is no other copy, so the damage is named and the
 * files stay as they are.
 */
import { type Configuration, InvariantError } from "../raft/index.ts";
import {
  CorruptionError,
  type DamageSurvey,
  type DurableStorage,
  openStorage,
  type Rebuild,
  type ReceivedSnapshot,
  rebuildLog,
  receiveRepairSnapshot,
  type StorageOptions,
  surveyDamage,
} from "../storage/index.ts";
import type { KvResult } from "./kv/index.ts";
import type { Logger } from "./logger.ts";
import { PeerPort } from "./peer-port.ts";
import type { NodeContext, Phase } from "./phase.ts";
import { RepairGateway } from "./repair-gateway.ts";
import { configurationOf, RepairingReplica, rebuildOf } from "./replica/repairing-replica.ts";

export type Opened =
  | { readonly kind: "whole"; readonly storage: DurableStorage }
  | { readonly kind: "damaged"; readonly survey: DamageSurvey };

/** Throws what was found where nobody can help. */
export function openOrSurvey(options: StorageOptions, initial: Configuration): Opened {
  try {
    return { kind: "whole", storage: openStorage(options) };
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error;
    const survey = surveyDamage(options);
    const { members } = configurationOf(survey, initial).configuration;
    const others = members.filter(({ id, role }) => id !== options.nodeId && role === "voter");
    if (others.length === 0) throw error;
    return { kind: "damaged", survey };
  }
}

/** `done` is called once the log is whole again, or fit to recover with. */
export function repair(context: NodeContext, survey: DamageSurvey, done: () => void): Phase {
  const { config, clock, random, log, storage } = context;
  for (const { file, offset, reason } of survey.places) {
    log.error({ file, offset, reason }, "what was durable is damaged: asking the other members");
  }
  const { identity } = survey;
  const snapshots = {
    receiveSnapshot: () => receiveRepairSnapshot(storage, identity),
    discardSnapshot: ({ path }: ReceivedSnapshot) => storage.fileSystem.unlinkSync(path),
  };
  const port = new PeerPort({ config, clock, random, log, identity, snapshots });
  const replica = new RepairingReplica<KvResult>({
    survey,
    initialConfiguration: { members: config.members },
    clock,
    openTransport: port.open,
    discardSnapshot: snapshots.discardSnapshot,
    log,
    done: (result) => {
      try {
        const rebuild = rebuildOf(survey, result);
        rebuildLog(storage, rebuild);
        logOutcome(log, rebuild);
        done();
      } catch (error) {
        if (!(error instanceof Error) || error instanceof InvariantError) throw error;
        context.fail(error);
      }
    },
  });
  return {
    gateway: new RepairGateway(survey, replica, clock),
    listen: (listening) => port.listen(listening),
    close: (closed) => replica.close(closed),
  };
}

function logOutcome(log: Logger, { isRecovering, entries, hardState }: Rebuild): void {
  const lastIndex = entries.at(-1)?.index ?? hardState.commitIndex;
  if (isRecovering) {
    log.warn({ lastIndex }, "recovering: lost the end of the log, asking the leader");
  } else {
    log.info({ lastIndex }, "repaired: the log is what it was");
  }
}
