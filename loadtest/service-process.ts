/**
 * One life of one process: started here, signalled, and its last lines kept for whoever has to say
 * why it died. It does not know what runs in it.
 *
 * The IPC channel ties its life to ours: a server ends when the process that started it is gone,
 * even by kill -9.
 */
import { type ChildProcess, spawn } from "node:child_process";
import type { Readable } from "node:stream";

/** What `npm start` and the Procfile give a node; the yardstick gets the same. */
export const NODE_FLAGS: readonly string[] = ["--max-semi-space-size=64"];

export interface ServiceCommand {
  readonly name: string;
  /** For Node itself, before the script. */
  readonly nodeFlags?: readonly string[];
  readonly script: string;
  readonly args: readonly string[];
  /** Takes every line it writes; only the last ones are kept here. */
  readonly onLine?: (line: string) => void;
}

/** Neither of the two: it could not be started. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const LINES_KEPT = 200;

export class ServiceProcess {
  readonly name: string;
  /** Resolves when the process is gone and its last line was read. */
  readonly ended: Promise<Exit>;
  /** Resolves at the moment the process is gone. */
  readonly exited: Promise<void>;
  readonly #child: ChildProcess;
  readonly #lines: string[] = [];
  readonly #onLine: ((line: string) => void) | undefined;
  #exit: Exit | undefined = undefined;

  constructor({ name, nodeFlags = NODE_FLAGS, script, args, onLine }: ServiceCommand) {
    this.name = name;
    this.#onLine = onLine;
    const child = spawn(process.execPath, [...nodeFlags, script, ...args], {
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    });
    this.#child = child;
    this.#keepLines(child.stdout);
    this.#keepLines(child.stderr);
    this.exited = new Promise((resolve) => {
      child.once("exit", (code, signal) => {
        this.#exit = { code, signal };
        resolve();
      });
      child.on("error", (error) => {
        // A signal or a message that did not reach it is not its end.
        if (child.pid !== undefined) return;
        this.#keep([String(error)]);
        this.#exit = { code: null, signal: null };
        resolve();
      });
    });
    this.ended = new Promise((resolve, reject) => {
      child.once("close", (code, signal) => resolve({ code, signal }));
      child.once("error", reject);
    });
    // Whoever waits for it hears of it; a service nobody waits for must not end this process.
    this.ended.catch(() => {});
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Undefined while it runs. */
  get exit(): Exit | undefined {
    return this.#exit;
  }

  get isRunning(): boolean {
    return this.#exit === undefined;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  send(message: object): void {
    this.#child.send(message);
  }

  onMessage(run: (message: unknown) => void): void {
    this.#child.on("message", run);
  }

  /** What it wrote, standard output and errors together, at most some hundred lines. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  /** Removes one line, so that the next look finds a newer one. */
  takeLine(index: number): string | undefined {
    return this.#lines.splice(index, 1)[0];
  }

  lastWords(count = 12): string {
    return this.#lines
      .slice(-count)
      .map((line) => `  ${this.name} | ${line}`)
      .join("\n");
  }

  #keepLines(stream: Readable | null): void {
    let rest = "";
    stream?.setEncoding("utf8");
    stream?.on("data", (chunk: string) => {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop() ?? "";
      this.#keep(lines);
    });
    stream?.on("end", () => {
      if (rest !== "") this.#keep([rest]);
    });
  }

  #keep(lines: readonly string[]): void {
    this.#lines.push(...lines);
    for (const line of lines) this.#onLine?.(line);
    if (this.#lines.length > LINES_KEPT) this.#lines.splice(0, this.#lines.length - LINES_KEPT);
  }
}

export function describeExit({ code, signal }: Exit): string {
  if (signal !== null) return `was killed by ${signal}`;
  return code === null ? "could not be started" : `exited with code ${code}`;
}
