/**
 * A cluster on one machine: starts the nodes, tells when there is a leader, obeys the second
 * terminal and Ctrl-C. It restarts nothing by itself: a node that died stays dead and is named,
 * because seeing that is what a development cluster is for.
 */
import { type ControlAnswer, type ControlRequest, ControlServer } from "./control.ts";
import { askStatus, waitForStatus } from "./leader.ts";
import { NodeProcess } from "./node-process.ts";
import { type DevPlan, dialAddress, type PlannedNode } from "./plan.ts";
import type { Screen } from "./screen.ts";

export interface SupervisorOptions {
  readonly plan: DevPlan;
  readonly script: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly screen: Screen;
  /** `stop node2` as it is typed in another terminal: the whole command line. */
  readonly spell: (words: string) => string;
}

const LEADER_TIMEOUT_MS = 15_000;
const SERVING_TIMEOUT_MS = 8000;

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #nodes: ReadonlyMap<string, { readonly plan: PlannedNode; readonly run: NodeProcess }>;
  readonly #stopping = new AbortController();
  #isUp = false;
  #finish: (exitCode: number) => void = () => undefined;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    const events = {
      line: (name: string, text: string) => options.screen.nodeLine(name, text),
      ended: (name: string, how: string, wasAsked: boolean) => this.#ended(name, how, wasAsked),
    };
    this.#nodes = new Map(
      options.plan.nodes.map((plan) => {
        const { script, environment } = options;
        const command = { name: plan.name, script, args: plan.args, environment };
        return [plan.name, { plan, run: new NodeProcess(command, events) }];
      }),
    );
  }

  /** Resolves with the exit code once every node is gone. */
  async run(): Promise<number> {
    const startedAt = performance.now();
    const control = await ControlServer.open(this.#options.plan.dataDirectory, (request) =>
      this.#obey(request),
    );
    const finished = new Promise<number>((resolve) => {
      this.#finish = resolve;
    });
    if (!this.#stopping.signal.aborted) {
      for (const { run } of this.#nodes.values()) run.start();
    }
    this.#finishWhenEmpty();
    await this.#announceLeader(startedAt);
    const exitCode = await finished;
    control.close();
    return exitCode;
  }

  /** Once: every node is asked to stop. Twice: every node is killed. */
  stop(): void {
    const isSecond = this.#stopping.signal.aborted;
    this.#stopping.abort();
    const running = this.#running();
    this.#options.screen.say(
      isSecond ? "killing all nodes" : "stopping all nodes (Ctrl-C again kills them)",
    );
    for (const { run } of running) {
      if (isSecond) run.kill(() => undefined);
      else run.stop(() => undefined);
    }
    this.#finishWhenEmpty();
  }

  #running() {
    return [...this.#nodes.values()].filter(({ run }) => run.isRunning);
  }

  #finishWhenEmpty(): void {
    if (this.#running().length > 0) return;
    if (this.#stopping.signal.aborted) this.#finish(0);
    else if (!this.#isUp) {
      this.#options.screen.say("no node is left, and there never was a leader: giving up");
      this.#stopping.abort();
      this.#finish(1);
    }
  }

  #ended(name: string, how: string, wasAsked: boolean): void {
    const { screen, spell } = this.#options;
    if (wasAsked) screen.say(`${name} stopped (${how})`);
    else screen.say(`${name} died: ${how}; start it again with: ${spell(`start ${name}`)}`);
    this.#finishWhenEmpty();
  }

  async #announceLeader(startedAt: number): Promise<void> {
    const addresses = this.#options.plan.nodes.map(({ client }) => dialAddress(client));
    const signal = this.#stopping.signal;
    const isLeader = ({ role }: { readonly role: string }): boolean => role === "leader";
    const leader = await waitForStatus(addresses, isLeader, LEADER_TIMEOUT_MS, signal);
    if (signal.aborted) return;
    this.#isUp = true;
    if (leader === undefined) {
      const seconds = LEADER_TIMEOUT_MS / 1000;
      this.#options.screen.say(`no leader after ${seconds} s; the lines above may say why`);
      return;
    }
    const tookSeconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    this.#options.screen.say(
      [
        "",
        `raft-kv is up after ${tookSeconds} s: node${leader.nodeId} leads term ${leader.term}.`,
        "",
        ...this.#hints(addresses),
        "",
      ].join("\n"),
    );
  }

  /** Lines that work when pasted, on as many nodes as there are. */
  #hints(addresses: readonly string[]): readonly string[] {
    const first = addresses[0] ?? "";
    const second = addresses[1] ?? first;
    const third = addresses[2] ?? first;
    const [, other] = this.#options.plan.nodes;
    const control =
      other === undefined
        ? []
        : [
            `  ${this.#options.spell(`stop ${other.name}`)}`,
            `    (or: start ${other.name}, kill ${other.name}, list)`,
          ];
    return [
      "Try, from another terminal:",
      `  curl -X PUT http://${first}/v1/kv/greeting -d hello`,
      `  curl http://${second}/v1/kv/greeting`,
      `  curl 'http://${third}/v1/kv/greeting?consistency=stale'`,
      `  curl http://${first}/v1/status`,
      ...control,
      "Ctrl-C stops the cluster; what it stored is there at the next start.",
    ];
  }

  #obey(request: ControlRequest): Promise<ControlAnswer> {
    if (request.action === "list") return this.#list();
    const node = this.#nodes.get(request.node ?? "");
    if (node === undefined) {
      const names = [...this.#nodes.keys()].join(", ");
      return Promise.resolve({ ok: false, text: `which node? There are ${names}.` });
    }
    if (this.#stopping.signal.aborted) {
      return Promise.resolve({ ok: false, text: "the cluster is stopping" });
    }
    switch (request.action) {
      case "start":
        return this.#start(node.plan, node.run);
      case "stop":
        return endNode(node.run, (done) => node.run.stop(done), "stopped");
      case "kill":
        return endNode(node.run, (done) => node.run.kill(done), "killed");
    }
  }

  async #start(plan: PlannedNode, run: NodeProcess): Promise<ControlAnswer> {
    if (run.isRunning) return { ok: false, text: `${plan.name} is running already` };
    const startedAt = performance.now();
    run.start();
    const answer = await waitForStatus(
      [dialAddress(plan.client)],
      () => true,
      SERVING_TIMEOUT_MS,
      this.#stopping.signal,
    );
    if (answer === undefined) return { ok: false, text: `${plan.name} does not answer yet` };
    const tookSeconds = ((performance.now() - startedAt) / 1000).toFixed(2);
    return { ok: true, text: `${plan.name} serves after ${tookSeconds} s (pid ${run.pid})` };
  }

  async #list(): Promise<ControlAnswer> {
    const lines = [...this.#nodes.values()].map(async ({ plan, run }) => {
      const address = dialAddress(plan.client);
      if (!run.isRunning) return `${plan.name}  stopped  ${address}`;
      const status = await askStatus(address);
      const role = status === undefined ? "silent" : `${status.role} of term ${status.term}`;
      return `${plan.name}  running  ${address}  pid ${run.pid}  ${role}`;
    });
    return { ok: true, text: (await Promise.all(lines)).join("\n") };
  }
}

function endNode(
  run: NodeProcess,
  end: (done: () => void) => void,
  word: string,
): Promise<ControlAnswer> {
  if (!run.isRunning) {
    return Promise.resolve({ ok: false, text: `${run.name} is not running` });
  }
  return new Promise((resolve) => {
    end(() => resolve({ ok: true, text: `${run.name} ${word}` }));
  });
}
