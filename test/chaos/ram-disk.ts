/**
 * A small disk that can be filled to the last byte: a tmpfs, where this process may mount one.
 * Unmounted when it is told to or when this process ends, whatever still runs there.
 */
import { execFileSync } from "node:child_process";
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";

const BALLAST = "ballast";
const CHUNKS_BYTES = [1024 * 1024, 4096];

export class RamDisk {
  readonly path: string;
  isMounted = true;
  readonly #onExit = (): void => this.unmount();

  private constructor(path: string) {
    this.path = path;
    // Before the listeners that remove the directories in which it is mounted.
    process.prependOnceListener("exit", this.#onExit);
  }

  /** Undefined where mounting is not permitted. */
  static mount(path: string, mebibytes: number): RamDisk | undefined {
    mkdirSync(path, { recursive: true });
    try {
      const options = `size=${mebibytes}m,mode=0700`;
      execFileSync("mount", ["-t", "tmpfs", "-o", options, "tmpfs", path], { stdio: "ignore" });
    } catch {
      return undefined;
    }
    return new RamDisk(path);
  }

  /** Takes all space that is left; returns how many bytes that was. */
  fill(): number {
    const file = openSync(join(this.path, BALLAST), "w");
    let filled = 0;
    try {
      for (const bytes of CHUNKS_BYTES) {
        const chunk = Buffer.alloc(bytes);
        for (let more = true; more; ) {
          const written = writeSome(file, chunk);
          filled += written;
          more = written === bytes;
        }
      }
    } finally {
      closeSync(file);
    }
    return filled;
  }

  free(): void {
    rmSync(join(this.path, BALLAST), { force: true });
  }

  unmount(): void {
    process.removeListener("exit", this.#onExit);
    this.isMounted = false;
    try {
      execFileSync("umount", ["-l", this.path], { stdio: "ignore" });
    } catch {
      // It is gone already.
    }
  }
}

function writeSome(file: number, chunk: Buffer): number {
  try {
    return writeSync(file, chunk);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOSPC") return 0;
    throw error;
  }
}
