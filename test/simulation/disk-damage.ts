/**
 * What can happen to bytes that were durable: they flip, vanish, are cut off, are written over by a
 * write that went astray, or can not be read (D3 to D5, D7, D11, D13 and D14 of the fault matrix).
 */
import type { SeededRandom } from "../../raft/index.ts";
import { type DiskFile, SECTOR_BYTES } from "../../storage/testing/simulated-disk.ts";
import { pick, pickAny } from "./chance.ts";
import type { Drive } from "./drive.ts";
import { DIRECTORY } from "./node.ts";

export const DAMAGE_KINDS = [
  "bit-rot",
  "lost-file",
  "truncated-file",
  "misdirected-write",
  "read-error",
] as const;

export type DamageKind = (typeof DAMAGE_KINDS)[number];

interface Victim {
  readonly name: string;
  readonly file: DiskFile;
}

/** Says what was damaged; undefined when there is nothing of the kind. */
export function damageDisk(
  kind: DamageKind,
  drive: Drive,
  random: SeededRandom,
): string | undefined {
  const segments = filesOf(drive, "wal-", ".log");
  const snapshots = filesOf(drive, "snapshot-", ".snap");
  const victim = pickAny(random, random.below(3) === 0 ? snapshots : segments);
  if (victim === undefined) return undefined;
  const { name, file } = victim;
  const sector = pickAny(random, writtenSectors(file));
  if (sector === undefined) return undefined;
  switch (kind) {
    case "bit-rot": {
      const bit = sector * 8 + random.below(SECTOR_BYTES * 8);
      file.flipBit(bit);
      return `bit ${bit} of ${name} flipped`;
    }
    case "lost-file":
      drive.directory(DIRECTORY).lose(name);
      return `${name} lost`;
    case "truncated-file": {
      const length = pick(random, [sector, sector + random.below(SECTOR_BYTES)]);
      file.rot(file.current.subarray(0, length));
      return `${name} cut to ${length} bytes`;
    }
    case "misdirected-write": {
      const astray = misdirect(segments, random);
      return astray === undefined ? undefined : `a sector of ${astray} written over`;
    }
    case "read-error":
      file.spoil(sector, SECTOR_BYTES);
      return `${name} unreadable at ${sector}`;
  }
}

/**
 * Not in the newest segment: a disk that never did its last write looks like a torn one, and only
 * what was written later tells them apart.
 */
function misdirect(segments: readonly Victim[], random: SeededRandom): string | undefined {
  const target = pickAny(random, segments.slice(0, -2));
  const source = pickAny(random, segments);
  if (target === undefined || source === undefined) return undefined;
  const to = pickAny(random, writtenSectors(target.file));
  const from = pickAny(random, writtenSectors(source.file));
  if (to === undefined || from === undefined) return undefined;
  if (target === source && to === from) return undefined;
  const bytes = Buffer.from(target.file.current);
  source.file.current.copy(bytes, to, from, from + SECTOR_BYTES);
  target.file.rot(bytes);
  return target.name;
}

/** Oldest first. */
export function filesOf(drive: Drive, prefix: string, suffix: string): readonly Victim[] {
  if (!drive.hasDirectory(DIRECTORY)) return [];
  return [...drive.directory(DIRECTORY).names]
    .filter(([name]) => name.startsWith(prefix) && name.endsWith(suffix))
    .map(([name, file]) => ({ name, file }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

const ZEROS = Buffer.alloc(SECTOR_BYTES);

function writtenSectors({ current }: DiskFile): readonly number[] {
  const sectors: number[] = [];
  for (let at = 0; at + SECTOR_BYTES <= current.length; at += SECTOR_BYTES) {
    if (!current.subarray(at, at + SECTOR_BYTES).equals(ZEROS)) sectors.push(at);
  }
  return sectors;
}
