/** The node as a member: the replica on its storage, and the key-value store on the replica. */
import { randomBytes } from "node:crypto";
import type { DurableStorage } from "../storage/index.ts";
import { wallTimeMs } from "./clock.ts";
import { isSupportedCommand, type KvResult, KvStateMachine } from "./kv/index.ts";
import { KvGateway } from "./kv-gateway.ts";
import { PeerPort } from "./peer-port.ts";
import type { NodeContext, Phase } from "./phase.ts";
import type { Divergence } from "./replica/state-guard.ts";
import { Replica } from "./replica.ts";

/** How long a stop waits for what is under way. */
export const GRACE_MS = 4_000;

/** `diverged` is called when the majority holds another state; the phase has ended by then. */
export function serve(
  context: NodeContext,
  storage: DurableStorage,
  diverged: (divergence: Divergence) => void,
): Phase {
  const { config, clock, random, log } = context;
  const machine = new KvStateMachine();
  const { identity } = storage;
  const port = new PeerPort({ config, clock, random, log, identity, snapshots: storage });
  const replica = new Replica<KvResult>({
    initialConfiguration: { members: config.members },
    initialTime: wallTimeMs(),
    processIncarnation: randomIdentifier(),
    timing: config.timing,
    snapshots: config.snapshots,
    clock,
    random,
    storage,
    machine,
    acceptsCommand: isSupportedCommand,
    openTransport: port.open,
    log,
    onDiverged: diverged,
  });
  return {
    gateway: new KvGateway(replica, machine, storage),
    listen: (done) => port.listen(done),
    close: (done) => replica.close(GRACE_MS, done),
  };
}

/** 48 random bits: never 0, and safe as an integer. */
export function randomIdentifier(): number {
  return randomBytes(6).readUIntBE(0, 6) || 1;
}
