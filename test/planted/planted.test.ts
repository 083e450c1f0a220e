/** The list of planted bugs is whole and fits the sources; the quickest ones are found. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { PLANTED_BUGS } from "./catalogue.ts";
import { ask } from "./find.ts";
import { Hunt } from "./hunt.ts";
import { type FindableBug, SWARM } from "./planted-bug.ts";
import { applyEdit, EditError, edited, ROOT, SourceTrees } from "./source-tree.ts";

const BUGS_IN_THE_LIST = 53;
/** One for the simulator, one for the core swarm, one for a test file. */
const QUICK = [1, 11, 28];

const trees = new SourceTrees();
after(() => trees.remove());

const findable = PLANTED_BUGS.filter((bug): bug is FindableBug => "edits" in bug);

test("each bug of the list is planted, or has a reason why it can not exist", () => {
  const numbers = [...new Set(PLANTED_BUGS.map(({ number }) => number))];
  assert.deepEqual(
    numbers,
    Array.from({ length: BUGS_IN_THE_LIST }, (_, at) => at + 1),
  );
});

test("every edit fits the sources as they are", () => {
  for (const { number, edits } of findable) {
    const texts = new Map<string, string>();
    for (const edit of edits) {
      const text = texts.get(edit.file) ?? readFileSync(join(ROOT, edit.file), "utf8");
      const after = edited(text, edit);
      assert.notEqual(after, text, `bug ${number} changes ${edit.file}`);
      texts.set(edit.file, after);
    }
  }
});

test("an edit whose text is missing or stands twice is refused", () => {
  const edit = { file: "a.ts", find: "x", replace: "y" };
  assert.equal(edited("a x b", edit), "a y b");
  assert.throws(() => edited("a b", edit), EditError);
  assert.throws(() => edited("x x", edit), EditError);
});

test("planted bugs are found, and nothing is found without them", async (t) => {
  const hunt = new Hunt(trees);
  const quick = findable.filter(({ number }) => QUICK.includes(number));
  assert.equal(quick.length, QUICK.length);
  for (const bug of quick) {
    const { verdict } = await hunt.one(bug);
    assert.equal(verdict.kind, "found", `bug ${bug.number}: ${verdict.message}`);
    t.diagnostic(`bug ${bug.number}: ${verdict.by}: ${verdict.message}`);
  }
});

test("a finder that dies without a report has found nothing", async () => {
  const edits = [
    {
      file: "test/planted/seeds.ts",
      find: "const range: SeedRange",
      replace: "process.exit(3);\nconst range: SeedRange",
    },
  ];
  const verdict = await trees.withEdits(edits, (root) => ask(SWARM, root, 1, 1));
  assert.equal(verdict.kind, "silent");
  assert.match(verdict.message, /ended with 3/);
});

test("what is found without the bug, too, is no find", async () => {
  const rotten = new SourceTrees();
  try {
    const file = "raft/quorum.ts";
    const find = "Math.floor(count / 2) + 1";
    applyEdit(rotten.clean, { file, find, replace: "Math.ceil(count / 2)" });
    const harmless = { file, find: "* Majorities.", replace: "* Quorums." };
    const bug = { number: 0, title: "none", edits: [harmless], finders: [SWARM] } as const;
    const { verdict } = await new Hunt(rotten).one(bug);
    assert.equal(verdict.kind, "silent");
    assert.match(verdict.message, /without the bug/);
  } finally {
    rotten.remove();
  }
});
