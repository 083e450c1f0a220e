/**
 * What load is sent to: a cluster or the yardstick, with what they use up. Starts the helper
 * processes of a run; each is this program again, under another first argument.
 */
import { fileURLToPath } from "node:url";
import type { Cluster } from "./cluster.ts";
import { cpuMicrosOf } from "./cpu-time.ts";
import { type DriverResult, driverResultSchema, type Job } from "./driver-protocol.ts";
import { freePorts } from "./free-ports.ts";
import { ServiceProcess } from "./service-process.ts";
import { until } from "./until.ts";

export const MAIN = fileURLToPath(new URL("main.js", import.meta.url));
export const SERVER = fileURLToPath(new URL("../bin/raft-kv.cjs", import.meta.url));

const START_LIMIT_MS = 10_000;

export interface Target {
  /** Where to send requests now. */
  address(): Promise<string>;
  readonly pids: () => readonly number[];
  /** Over all nodes; undefined for what writes nothing. */
  fsyncs(): Promise<number | undefined>;
}

/** Load goes to the leader: a follower would only pass it on. */
export function clusterTarget(cluster: Cluster): Target {
  return {
    address: async () => cluster.node((await cluster.leader()).nodeId).client,
    pids: () => cluster.running.map(({ id }) => cluster.process(id).pid),
    fsyncs: async () => {
      const statuses = await Promise.all(cluster.nodes.map(({ id }) => cluster.status(id)));
      return statuses.reduce((sum, status) => sum + (status?.storage.fsyncs ?? 0), 0);
    },
  };
}

export interface Yardstick {
  readonly target: Target;
  readonly service: ServiceProcess;
}

export async function startYardstick(): Promise<Yardstick> {
  const [port = 0] = await freePorts(1);
  const address = `127.0.0.1:${port}`;
  const service = new ServiceProcess({
    name: "yardstick",
    script: MAIN,
    args: ["yardstick", String(port)],
  });
  const patience = { what: "the yardstick answers", limitMs: START_LIMIT_MS };
  await until(patience, async () => {
    if (!service.isRunning) throw new Error(`the yardstick died:\n${service.lastWords()}`);
    const answer = await fetch(`http://${address}/v1/kv/a`).catch(() => undefined);
    return answer?.ok === true ? true : undefined;
  });
  const target = {
    address: () => Promise.resolve(address),
    pids: () => [service.pid],
    fsyncs: () => Promise.resolve(undefined),
  };
  return { target, service };
}

/** The process that sends the requests; it takes one job after the other. */
export class Driver {
  readonly #service: ServiceProcess;
  readonly #ready: Promise<void>;
  #answer: ((result: DriverResult) => void) | undefined = undefined;

  constructor() {
    this.#service = new ServiceProcess({ name: "driver", script: MAIN, args: ["driver"] });
    this.#ready = new Promise((resolve) => {
      this.#service.onMessage((message) => {
        if (message === "ready") resolve();
        else this.#answer?.(driverResultSchema.parse(message));
      });
    });
  }

  async run(job: Job): Promise<DriverResult> {
    const died = this.#service.exited.then(() => {
      throw new Error(`the driver died:\n${this.#service.lastWords()}`);
    });
    const answered = new Promise<DriverResult>((resolve) => {
      this.#answer = resolve;
    });
    await Promise.race([this.#ready, died]);
    this.#service.send(job);
    return await Promise.race([answered, died]);
  }

  end(): void {
    this.#service.signal("SIGKILL");
  }
}

export interface Sample extends DriverResult {
  /** Summed over the processes of the target. */
  readonly cpuMicros: number | undefined;
  readonly fsyncs: number | undefined;
}

export type Work =
  | Omit<Job & { readonly kind: "fill" }, "address">
  | Omit<Job & { readonly kind: "load" }, "address">;

/** One job against one target, with what the target used up for it. */
export async function measure(driver: Driver, target: Target, work: Work): Promise<Sample> {
  const address = await target.address();
  const fsyncsBefore = await target.fsyncs();
  const cpuBefore = cpuMicrosOf(target.pids());
  const result = await driver.run({ ...work, address });
  const cpuAfter = cpuMicrosOf(target.pids());
  const fsyncsAfter = await target.fsyncs();
  return {
    ...result,
    cpuMicros: difference(cpuBefore, cpuAfter),
    fsyncs: difference(fsyncsBefore, fsyncsAfter),
  };
}

function difference(before: number | undefined, after: number | undefined): number | undefined {
  return before === undefined || after === undefined ? undefined : after - before;
}

/** Filling must succeed whole: a read of a missing key would measure nothing. */
export function assertNoneFailed({ errors, non2xx, problems }: DriverResult): void {
  if (errors + non2xx === 0) return;
  throw new Error(`${errors} errors (${problems.join(", ")}), ${non2xx} answers other than 2xx`);
}
