/** Configurations count when appended, and come back when the log is truncated. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { InvariantError } from "./assert.ts";
import { ConfigurationHistory } from "./configuration-history.ts";
import { command, configurationEntry, members } from "./testing/bench.ts";

const first = members([1, 2, 3]);
const second = members([1, 2, 3, 4]);
const third = members([1, 2, 4]);

function history(): ConfigurationHistory {
  const configurations = new ConfigurationHistory({ index: 0, configuration: first });
  configurations.appended([
    command(1, 1),
    configurationEntry(2, 1, second),
    configurationEntry(5, 1, third),
  ]);
  return configurations;
}

test("the newest appended configuration is in force", () => {
  const configurations = history();
  assert.deepEqual(configurations.current, third);
  assert.equal(configurations.currentIndex, 5);
  assert.deepEqual(configurations.voters, [1, 2, 4]);
  assert.ok(!configurations.isVoter(3));
});

test("truncation brings the one before back (canonical/raft 250)", () => {
  const configurations = history();
  assert.equal(configurations.truncated(6), false);
  assert.equal(configurations.truncated(5), true);
  assert.deepEqual(configurations.current, second);
  assert.deepEqual(configurations.voters, [1, 2, 3, 4]);
  configurations.truncated(1);
  assert.deepEqual(configurations.current, first);
});

test("each index has its own configuration", () => {
  const configurations = history();
  const indexes = [0, 1, 2, 4, 5, 9].map((index) => configurations.at(index).index);
  assert.deepEqual(indexes, [0, 0, 2, 2, 5, 5]);
});

test("compaction keeps the one in force at the snapshot, which is never rolled back", () => {
  const configurations = history();
  configurations.compact(4);
  assert.equal(configurations.at(4).index, 2);
  assert.throws(() => configurations.at(1), InvariantError);
  configurations.truncated(3);
  assert.deepEqual(configurations.current, second);
  assert.throws(() => configurations.truncated(2), InvariantError);
});

test("a snapshot brings its own configuration", () => {
  const configurations = history();
  configurations.restore({ index: 40, configuration: members([7]) });
  assert.deepEqual(configurations.voters, [7]);
  assert.equal(configurations.currentIndex, 40);
});
