import assert from "node:assert/strict";
import { test } from "node:test";
import { devHelp, mainHelp, serverHelp } from "./cli-help.ts";
import { serverSchema } from "./config.ts";
import { devSchema } from "./dev/dev-options.ts";
import { optionsOf } from "./options.ts";

test("the server's help lists every option the parser takes, and no other", () => {
  const listed = [...serverHelp().matchAll(/^ {2}(--[a-z-]+)/gmu)].map(([, flag]) => flag);
  assert.deepEqual(
    listed,
    optionsOf(serverSchema).map(({ flag }) => flag),
  );
});

test("the dev cluster's help lists every option the parser takes, and no other", () => {
  const listed = [...devHelp().matchAll(/^ {2}(--[a-z-]+)/gmu)].map(([, flag]) => flag);
  assert.deepEqual(
    listed,
    optionsOf(devSchema).map(({ flag }) => flag),
  );
});

test("every option is explained in a sentence", () => {
  for (const option of [...optionsOf(serverSchema), ...optionsOf(devSchema)]) {
    assert.match(option.help, /^.{10,}/u, option.flag);
  }
});

test("defaults stand in the help as the schema has them", () => {
  assert.match(serverHelp(), /--heartbeat-ms MS .*Default: 50\./u);
  assert.match(serverHelp(), /--id N .*Required\./u);
});

test("no line of any help is wider than a hundred columns", () => {
  const all = [mainHelp([]), serverHelp(), devHelp()].join("\n");
  for (const line of all.split("\n")) assert.ok(line.length <= 100, line);
});

test("the overview lists the client commands it is given", () => {
  const help = mainHelp([{ usage: "get KEY", summary: "reads a key" }]);
  assert.match(help, /^ {2}get KEY +reads a key$/mu);
  assert.match(help, /^ {2}server --id N +one node$/mu);
});
