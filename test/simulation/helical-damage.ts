/**
 * Damage on every disk at once that leaves each entry whole on some of them (D19 of the fault
 * matrix): entries are dealt out in groups, and a disk only loses batches of its own groups.
 */
import type { SeededRandom } from "../../raft/index.ts";
import { decodeBatch } from "../../storage/batch-codec.ts";
import { decodeRecords } from "../../storage/record-codec.ts";
import { SECTOR_BYTES } from "../../storage/sector.ts";
import { segmentSequence } from "../../storage/segment-header.ts";
import {
  type SurveyedBatch,
  type SurveyedSegment,
  surveySegment,
} from "../../storage/segment-survey.ts";
import { chance } from "./chance.ts";
import { filesOf } from "./disk-damage.ts";
import type { Drive } from "./drive.ts";

const GROUP = 4;

/** `place` is this disk's among `places`. */
export function damageHelically(
  drive: Drive,
  place: number,
  places: number,
  random: SeededRandom,
): string | undefined {
  const isOwn = (index: number) => Math.floor(index / GROUP) % places === place;
  let flips = 0;
  for (const { name, file } of filesOf(drive, "wal-", ".log")) {
    const segment = surveySegment(file.current, segmentSequence(name) ?? 0, name);
    for (const batch of segment.batches) {
      const indexes = indexesIn(segment, batch);
      if (indexes.length === 0 || !indexes.every(isOwn) || !chance(random, 0.5)) continue;
      file.flipBit(8 * batch.offset + random.below(8 * SECTOR_BYTES * batch.count));
      flips += 1;
    }
  }
  return flips === 0 ? undefined : `${flips} batches, each whole on another disk`;
}

function indexesIn({ bytes }: SurveyedSegment, batch: SurveyedBatch): readonly number[] {
  if (batch.state !== "whole") return [];
  const indexes: number[] = [];
  decodeRecords(decodeBatch(bytes, batch.offset, batch.count).records, (record) => {
    if (record.kind === "entry") indexes.push(record.entry.index);
  });
  return indexes;
}
