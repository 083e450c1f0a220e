/** What a node does at a time: repair its log, or serve as a member. Types only. */
import type { Clock, Random } from "../raft/index.ts";
import type { StorageOptions } from "../storage/index.ts";
import type { ServerConfig } from "./config.ts";
import type { Gateway } from "./gateway.ts";
import type { Logger } from "./logger.ts";

/** What all phases of a process share. */
export interface NodeContext {
  readonly config: ServerConfig;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly storage: StorageOptions;
  /** Ends the process: nothing it could still answer is to be trusted. */
  readonly fail: (error: Error) => void;
}

export interface Phase {
  readonly gateway: Gateway;
  /** Opens the peers' port. */
  listen(done: (error: Error | undefined) => void): void;
  /** Ends what is under way, bounded in time, and lets go of port and disk. */
  close(done: () => void): void;
}
