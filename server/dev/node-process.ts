/**
 * One node as the supervisor sees it: a child process that is started, asked to stop, killed, and
 * whose lines are handed on. It never restarts anything, and it knows nothing of the cluster.
 *
 * - The child is in a process group of its own: Ctrl-C reaches the supervisor alone, which then
 *   stops the nodes in its own way.
 * - An IPC channel ties the child's life to the supervisor's (`lifeline.ts`).
 */
import { type ChildProcess, spawn } from "node:child_process";
import type { Readable } from "node:stream";

export interface NodeCommand {
  readonly name: string;
  readonly script: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
}

export interface NodeEvents {
  line(name: string, text: string): void;
  /** `wasAsked` tells a stop from a death. */
  ended(name: string, how: string, wasAsked: boolean): void;
}

/** Room for what a few turns of a busy node allocate: less of it survives to be copied. */
const NODE_FLAGS = ["--max-semi-space-size=64"];

/** How long a node may take to stop before it is killed. */
export const STOP_PATIENCE_MS = 8000;

export class NodeProcess {
  readonly name: string;
  readonly #command: NodeCommand;
  readonly #events: NodeEvents;
  #child: ChildProcess | undefined;
  #wasAsked = false;
  #waiting: (() => void)[] = [];

  constructor(command: NodeCommand, events: NodeEvents) {
    this.name = command.name;
    this.#command = command;
    this.#events = events;
  }

  get isRunning(): boolean {
    return this.#child !== undefined;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  start(): void {
    if (this.#child !== undefined) return;
    const { script, args, environment } = this.#command;
    const child = spawn(process.execPath, [...NODE_FLAGS, script, ...args], {
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      detached: true,
      env: environment,
    });
    this.#child = child;
    this.#wasAsked = false;
    this.#passLines(child.stdout);
    this.#passLines(child.stderr);
    child.once("error", (error) => this.#ended(child, `could not be started: ${error.message}`));
    // "close" comes after the last line, "exit" may come before it.
    child.once("close", (code, signal) =>
      this.#ended(child, signal === null ? `exited with code ${code}` : `killed by ${signal}`),
    );
  }

  /** Asks to stop, and kills after a while; `done` when the process is gone. */
  stop(done: () => void): void {
    const child = this.#child;
    if (child === undefined) {
      done();
      return;
    }
    const patience = setTimeout(() => child.kill("SIGKILL"), STOP_PATIENCE_MS);
    this.#signal("SIGTERM", () => {
      clearTimeout(patience);
      done();
    });
  }

  kill(done: () => void): void {
    this.#signal("SIGKILL", done);
  }

  #signal(signal: "SIGTERM" | "SIGKILL", done: () => void): void {
    if (this.#child === undefined) {
      done();
      return;
    }
    this.#wasAsked = true;
    this.#waiting.push(done);
    this.#child.kill(signal);
  }

  #ended(child: ChildProcess, how: string): void {
    if (this.#child !== child) return;
    this.#child = undefined;
    this.#events.ended(this.name, how, this.#wasAsked);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const done of waiting) done();
  }

  #passLines(stream: Readable | null): void {
    if (stream === null) return;
    let rest = "";
    stream.setEncoding("utf8");
    stream.on("data", (chunk: string) => {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.#events.line(this.name, line);
    });
    stream.on("end", () => {
      if (rest !== "") this.#events.line(this.name, rest);
    });
  }
}
