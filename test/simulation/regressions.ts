/** Seeds that once found something, with what they need to find it again. Replayed for ever. */
import type { FaultKind } from "./faults.ts";

export interface Regression {
  readonly found: string;
  readonly seed: number;
  readonly faults: readonly FaultKind[];
  readonly durationMs: number;
  /** Found before clients used the library and listed: only without both is it the same run. */
  readonly plainClients?: boolean;
}

export const REGRESSIONS: readonly Regression[] = [
  {
    found: "the survey of a segment cut inside a repeated batch took the end of the log for known",
    seed: 327,
    faults: ["truncated-file", "kill-all"],
    durationMs: 12_000,
    plainClients: true,
  },
  {
    found: "a snapshot lent for a repair came late, and the core took the lender for a leader",
    seed: 326,
    faults: [
      "duplicate",
      "reorder",
      "one-way",
      "stall",
      "hung-disk",
      "drift",
      "bit-rot",
      "lost-file",
    ],
    durationMs: 12_000,
    plainClients: true,
  },
  {
    found: "the oldest segment was gone, and the rest of the log had no entry to tell it",
    seed: 315,
    faults: ["partition", "power-loss", "death-in-call", "lost-file"],
    durationMs: 12_000,
    plainClients: true,
  },
  {
    found: "a sector written over by another of its batch gave back old entries as the newest",
    seed: 5006,
    faults: ["one-way", "slow-disk", "write-error", "misdirected-write", "helical"],
    durationMs: 29_000,
    plainClients: true,
  },
  {
    found: "rot in a sector of a segment's earlier life brought back old entries as the newest",
    seed: 5090,
    faults: ["torn-write", "bit-rot", "lost-file", "read-error"],
    durationMs: 82_500,
    plainClients: true,
  },
  {
    found: "a term without a vote made nodes with empty logs forget that they may vote",
    seed: 5052,
    faults: ["delay", "restart-storm"],
    durationMs: 100_000,
    plainClients: true,
  },
  {
    found: "a straggler of an earlier process made the leader drop all that a node forwarded",
    seed: 718,
    faults: ["duplicate", "flap", "death-in-call"],
    durationMs: 100_000,
    plainClients: true,
  },
  {
    found: "a segment was lost whole before the hard-state file named it",
    seed: 197,
    faults: ["drop", "duplicate", "kill-all", "torn-write", "frozen-clock", "lost-file"],
    durationMs: 3_000,
    plainClients: true,
  },
  {
    found: "a second hang shortened the first, and the simulator blamed the leader",
    seed: 1011,
    faults: ["kill", "hung-disk"],
    durationMs: 25_000,
    plainClients: true,
  },
  {
    found: "prepared space cut inside a page became a segment that no later start could read",
    seed: 330,
    faults: ["power-loss", "stall", "truncated-file"],
    durationMs: 100_000,
    plainClients: true,
  },
  {
    found: "the description of a damaged batch read behind the end of a file that was cut",
    seed: 942,
    faults: ["drop", "one-way", "death-in-call", "hung-disk", "lost-file", "truncated-file"],
    durationMs: 25_000,
    plainClients: true,
  },
  {
    found: "a leader removed itself while one of the two left had never come to life",
    seed: 192,
    faults: ["remove-leader", "kill"],
    durationMs: 750,
  },
];
