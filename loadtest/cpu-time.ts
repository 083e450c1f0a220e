/** CPU time of other processes, from Linux's /proc. */
import { readFileSync } from "node:fs";

/** USER_HZ: the unit of /proc/PID/stat, 100 on every Linux a program can see. */
const TICK_MICROS = 10_000;
/** Counted from the state, the first field behind the name in parentheses. */
const USER_TICKS = 11;
const SYSTEM_TICKS = 12;

/** User and system time together; undefined where the system does not say. */
export function cpuMicrosOf(pids: readonly number[]): number | undefined {
  let ticks = 0;
  for (const pid of pids) {
    const fields = readStat(pid);
    if (fields === undefined) return undefined;
    ticks += Number(fields[USER_TICKS]) + Number(fields[SYSTEM_TICKS]);
  }
  return ticks * TICK_MICROS;
}

function readStat(pid: number): readonly string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    return text.slice(text.lastIndexOf(")") + 2).split(" ");
  } catch {
    return undefined;
  }
}

/** Memory in RAM, in bytes; undefined where the system does not say. */
export function residentBytesOf(pid: number): number | undefined {
  try {
    const kib = /^VmRSS:\s+(\d+) kB$/mu.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1];
    return kib === undefined ? undefined : Number(kib) * 1024;
  } catch {
    return undefined;
  }
}
