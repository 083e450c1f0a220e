/**
 * What a run measures: without filters a headline in alternating rounds, variations of one thing at
 * a time, reads by lease, and group commit on one node. With filters, every combination of them.
 */
import { parseArgs } from "node:util";
import { HEADLINE, KEY_CHOICES, MIXES, type Scenario, scenarioSchema } from "./scenario.ts";

export interface Measurement {
  readonly scenario: Scenario;
  /** Each round measures the cluster and, beside it, the yardstick. */
  readonly rounds: number;
  readonly seconds: number;
  readonly isCompared: boolean;
}

export interface Phase {
  readonly title: string;
  readonly nodes: number;
  readonly reads: "read-index" | "lease";
  readonly keyCount: number;
  readonly measurements: readonly Measurement[];
}

export interface Plan {
  readonly phases: readonly Phase[];
  readonly warmUpSeconds: number;
  readonly seed: number;
  /** Compare with the targets. */
  readonly isChecked: boolean;
  readonly jsonFile: string | undefined;
}

export class UsageError extends Error {
  override readonly name = "UsageError";
  readonly code = "usage";
}

export const USAGE = `npm run loadtest -- [options]

  --quick             a minute and a half instead of five minutes
  --check             end with code 1 when a target is missed
  --seconds N         length of a round (5)
  --rounds N          alternating rounds of the headline (5)
  --connections LIST  such as 1,8,50; this and the next three choose scenarios of your own
  --mix LIST          of put, get, mixed (nine reads to a write)
  --value LIST        sizes of values in bytes, such as 3,4096
  --keys LIST         of uniform, skewed
  --nodes N           nodes of the cluster for scenarios of your own (3)
  --lease             reads by leader lease for scenarios of your own
  --key-count N       keys (100000)
  --seed N            seed of the choice of keys (1)
  --json FILE         where to write the figures (loadtest/results/)

npm run loadtest -- memory [--key-count N] [--nodes N]
                      memory per key, and restart from a snapshot`;

/** 4 KiB values of 100,000 keys would be a gigabyte over three nodes. */
const LARGE_VALUE_BYTES = 1024;
const LARGE_KEYS_PART = 10;

export function parsePlan(args: readonly string[]): Plan {
  const values = parseFlags(args);
  const isQuick = values.quick;
  const settings = {
    seconds: positive("--seconds", values.seconds ?? (isQuick ? "2" : "5")),
    rounds: positive("--rounds", values.rounds ?? (isQuick ? "3" : "5")),
    keyCount: positive("--key-count", values["key-count"] ?? (isQuick ? "10000" : "100000")),
    nodes: positive("--nodes", values.nodes ?? "3"),
    reads: values.lease ? "lease" : "read-index",
  } as const;
  const isOwn = [values.connections, values.mix, values.value, values.keys, values.nodes].some(
    (value) => value !== undefined,
  );
  return {
    phases: isOwn || values.lease ? ownPhases(values, settings) : standardPhases(settings, isQuick),
    warmUpSeconds: isQuick ? 3 : 5,
    seed: positive("--seed", values.seed ?? "1"),
    isChecked: values.check,
    jsonFile: values.json,
  };
}

function parseFlags(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        quick: { type: "boolean", default: false },
        check: { type: "boolean", default: false },
        lease: { type: "boolean", default: false },
        seconds: { type: "string" },
        rounds: { type: "string" },
        connections: { type: "string" },
        mix: { type: "string" },
        value: { type: "string" },
        keys: { type: "string" },
        nodes: { type: "string" },
        "key-count": { type: "string" },
        seed: { type: "string" },
        json: { type: "string" },
      },
    }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

export function positive(flag: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new UsageError(`${flag} takes whole numbers from 1, not ${text}`);
  }
  return value;
}

interface Settings {
  readonly seconds: number;
  readonly rounds: number;
  readonly keyCount: number;
  readonly nodes: number;
  readonly reads: Phase["reads"];
}

function standardPhases(settings: Settings, isQuick: boolean): readonly Phase[] {
  const { seconds, rounds, keyCount } = settings;
  const headline = (mix: Scenario["mix"]): Measurement => ({
    scenario: { mix, ...HEADLINE },
    rounds,
    seconds,
    isCompared: true,
  });
  const variations = [{ connections: 1 }, { connections: 8 }, { keys: "skewed" } as const];
  const oneRound = { rounds: 1, seconds, isCompared: true };
  const varied = variations.flatMap((variation) =>
    MIXES.map((mix) => ({ scenario: { mix, ...HEADLINE, ...variation }, ...oneRound })),
  );
  const large = MIXES.map((mix) => ({
    scenario: { mix, ...HEADLINE, valueBytes: 4096 },
    ...oneRound,
  }));
  const alone = [1, 50].map((connections) => ({
    scenario: { ...HEADLINE, mix: "put" as const, connections, valueBytes: 4096 },
    rounds: 1,
    seconds,
    isCompared: false,
  }));
  const three = { nodes: 3, reads: "read-index", keyCount } as const;
  const largeKeyCount = Math.ceil(keyCount / LARGE_KEYS_PART);
  return [
    {
      ...three,
      title: "three nodes, reads by ReadIndex",
      measurements: [...MIXES.map(headline), ...(isQuick ? [] : varied)],
    },
    ...(isQuick
      ? []
      : [
          {
            ...three,
            title: "three nodes, 4 KiB values",
            keyCount: largeKeyCount,
            measurements: large,
          },
        ]),
    {
      ...three,
      title: "three nodes, reads by leader lease",
      reads: "lease",
      measurements: [headline("get")],
    },
    {
      title: "one node, 4 KiB values, one fsync for many writes",
      nodes: 1,
      reads: "read-index",
      keyCount: largeKeyCount,
      measurements: alone,
    },
  ];
}

function ownPhases(
  values: ReturnType<typeof parseFlags>,
  { seconds, rounds, keyCount, nodes, reads }: Settings,
): readonly Phase[] {
  const connections = split(values.connections ?? "50").map((text) =>
    positive("--connections", text),
  );
  const sizes = split(values.value ?? "3").map((text) => positive("--value", text));
  const mixes = split(values.mix ?? MIXES.join());
  const keys = split(values.keys ?? "uniform");
  return sizes.map((valueBytes) => ({
    title: `${nodes} nodes, reads by ${reads}, values of ${valueBytes} bytes`,
    nodes,
    reads,
    keyCount: valueBytes > LARGE_VALUE_BYTES ? Math.ceil(keyCount / LARGE_KEYS_PART) : keyCount,
    measurements: mixes.flatMap((mix) =>
      keys.flatMap((choice) =>
        connections.map((count) => ({
          scenario: scenario({ mix, connections: count, valueBytes, keys: choice }),
          rounds,
          seconds,
          isCompared: true,
        })),
      ),
    ),
  }));
}

function scenario(parts: Readonly<Record<keyof Scenario, unknown>>): Scenario {
  const parsed = scenarioSchema.safeParse(parts);
  if (parsed.success) return parsed.data;
  throw new UsageError(`--mix takes ${MIXES.join(", ")}; --keys takes ${KEY_CHOICES.join(", ")}`);
}

function split(list: string): readonly string[] {
  return list.split(",").map((text) => text.trim());
}
