/**
 * One process per data directory, and no waiting after `kill -9`.
 *
 * Two locks, since each alone fails somewhere:
 * 1. On Linux, listening on an abstract socket named after the directory's device and inode: the
 *    kernel frees it the instant its owner dies, and holds it while the owner is merely stopped.
 *    It reaches as far as the network namespace.
 * 2. proper-lockfile's directory, with an owner file beside it: reaches across namespaces and
 *    machines. It judges by age alone, so a dead owner is recognised by the owner file instead, at
 *    once; an owner that can not be judged from here (another machine, another pid namespace, an
 *    earlier boot) is waited for until its lock is stale.
 *
 * The second is only touched while holding the first, so racers for a stale lock can not both win.
 * Promises are used here: this runs once, before there is a loop whose order matters.
 */
import {
  closeSync,
  constants,
  existsSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmdirSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import lockfile from "proper-lockfile";
import { DirectoryLockedError } from "./errors.ts";

export interface DirectoryLockOptions {
  /** Must exist. */
  readonly directory: string;
  /** The name of this machine: an owner is only judged where it runs. */
  readonly host: string;
  /** The lock is no longer ours: the process must exit at once. */
  readonly onCompromised: (error: Error) => void;
  /** How old a lock must be before an owner that can not be judged counts as gone. */
  readonly staleMs?: number;
}

export interface DirectoryLock {
  release(): Promise<void>;
}

const DEFAULT_STALE_MS = 10_000;
const RETRY_MS = 100;
const LOCK = "lock";
const OWNER = "lock-owner";

export async function lockDirectory(options: DirectoryLockOptions): Promise<DirectoryLock> {
  const directory = realpathSync(options.directory);
  const guard = await takeGuard(directory);
  try {
    const release = await takeLock(directory, options);
    return {
      release: async () => {
        rmSync(join(directory, OWNER), { force: true });
        await release();
        await closeGuard(guard);
      },
    };
  } catch (error) {
    await closeGuard(guard);
    throw error;
  }
}

function takeGuard(directory: string): Promise<Server | undefined> {
  if (process.platform !== "linux") return Promise.resolve(undefined);
  const { dev, ino } = statSync(directory);
  const server = createServer((socket) => socket.destroy());
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE") {
        reject(new DirectoryLockedError(`${directory} is in use by another process`));
      } else resolve(undefined);
    });
    server.listen({ path: `\0raft-kv:${dev}:${ino}`, exclusive: true }, () => {
      server.unref();
      resolve(server);
    });
  });
}

function closeGuard(guard: Server | undefined): Promise<void> {
  if (guard === undefined) return Promise.resolve();
  return new Promise((resolve) => guard.close(() => resolve()));
}

async function takeLock(
  directory: string,
  options: DirectoryLockOptions,
): Promise<() => Promise<void>> {
  const { host, onCompromised, staleMs = DEFAULT_STALE_MS } = options;
  const lockfilePath = join(directory, LOCK);
  const settings = { lockfilePath, stale: staleMs, realpath: false, onCompromised };
  let release = await tryLock(directory, settings);
  const owner = release === undefined ? readOwner(directory) : undefined;
  if (release === undefined) {
    switch (judge(owner, host)) {
      case "alive":
        break;
      case "dead":
        removeLock(lockfilePath);
        release = await tryLock(directory, settings);
        break;
      case "unknown":
        release = await tryLock(directory, { ...settings, retries: untilStale(staleMs) });
        break;
    }
  }
  if (release === undefined) {
    const who = owner === undefined ? "an unknown owner" : `process ${owner.pid} on ${owner.host}`;
    throw new DirectoryLockedError(`${directory} is in use by ${who}`);
  }
  writeOwner(directory, host);
  return release;
}

/** Undefined when somebody else has it. */
async function tryLock(
  directory: string,
  settings: lockfile.LockOptions,
): Promise<(() => Promise<void>) | undefined> {
  try {
    return await lockfile.lock(directory, settings);
  } catch (error) {
    if (isLocked(error)) return undefined;
    throw error;
  }
}

/** Twice the stale age, in tries of even distance. */
function untilStale(staleMs: number): lockfile.LockOptions["retries"] {
  const retries = Math.ceil((2 * staleMs) / RETRY_MS);
  return { retries, factor: 1, minTimeout: RETRY_MS, maxTimeout: RETRY_MS, randomize: false };
}

function isLocked(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ELOCKED";
}

function removeLock(path: string): void {
  try {
    rmdirSync(path);
  } catch (error) {
    if (existsSync(path)) throw error;
  }
}

interface Owner {
  readonly host: string;
  readonly boot: string;
  readonly pidNamespace: string;
  readonly pid: number;
  /** Tells the process from a later one under the same pid; in a container the pid is always 1. */
  readonly startTime: string;
}

/**
 * Over the one before, so that a restart needs no space on a full disk. Half an owner is none that
 * can be judged, and so is one for whom there was no space: then only the lock's age counts.
 */
function writeOwner(directory: string, host: string): void {
  const path = join(directory, OWNER);
  const owner = { ...here(host), pid: process.pid, startTime: startTimeOf(process.pid) ?? "" };
  const bytes = Buffer.from(JSON.stringify(owner));
  const file = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
  try {
    writeSync(file, bytes, 0, bytes.length, 0);
    ftruncateSync(file, bytes.length);
  } catch (error) {
    rmSync(path);
    if (!isFull(error)) throw error;
  } finally {
    closeSync(file);
  }
}

function isFull(error: unknown): boolean {
  if (!(error instanceof Error && "code" in error)) return false;
  return error.code === "ENOSPC" || error.code === "EDQUOT";
}

/** Undefined when there is none that can be read: then only age can tell. */
function readOwner(directory: string): Owner | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(join(directory, OWNER), "utf8"));
    if (typeof value !== "object" || value === null) return undefined;
    const fields = new Map<string, unknown>(Object.entries(value));
    const text = (name: string): string => {
      const field = fields.get(name);
      return typeof field === "string" ? field : "";
    };
    const pid = fields.get("pid");
    if (typeof pid !== "number") return undefined;
    const place = { host: text("host"), boot: text("boot"), pidNamespace: text("pidNamespace") };
    return { ...place, pid, startTime: text("startTime") };
  } catch {
    return undefined;
  }
}

function judge(owner: Owner | undefined, host: string): "alive" | "dead" | "unknown" {
  if (owner === undefined) return "unknown";
  const own = here(host);
  const isLocal =
    owner.host === own.host && owner.boot === own.boot && owner.pidNamespace === own.pidNamespace;
  if (!isLocal) return "unknown";
  if (own.boot !== "") return startTimeOf(owner.pid) === owner.startTime ? "alive" : "dead";
  // No /proc here: all that can be asked is whether such a process exists.
  return processExists(owner.pid) ? "unknown" : "dead";
}

function here(host: string): Pick<Owner, "host" | "boot" | "pidNamespace"> {
  return { host, boot: bootId(), pidNamespace: pidNamespace() };
}

function bootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return "";
  }
}

function pidNamespace(): string {
  try {
    return readlinkSync("/proc/self/ns/pid");
  } catch {
    return "";
  }
}

/** Field 22 of /proc/PID/stat, in clock ticks since boot; undefined without such a process. */
function startTimeOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name in field 2 may hold spaces and parentheses; what follows its last one does not.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    // A zombie holds no lock.
    return fields[0] === "Z" ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

function processExists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}
