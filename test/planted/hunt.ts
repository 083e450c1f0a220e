/**
 * Hunts one planted bug: its finders in their order, in a copy of the sources with the bug in it;
 * then the same run once more in the clean copy, where it must find nothing. So what is reported is
 * the bug, and no weakness of the finder or of the sources as they are.
 */
import { ask, SEEDS_MAX, type Verdict } from "./find.ts";
import type { FindableBug, Finder } from "./planted-bug.ts";
import type { SourceTrees } from "./source-tree.ts";

export interface Hunted {
  readonly verdict: Verdict;
  readonly seconds: number;
}

export class Hunt {
  readonly #trees: SourceTrees;
  /** Test files asked about the clean copy; many bugs share one. */
  readonly #cleanFiles = new Map<string, Promise<Verdict>>();

  constructor(trees: SourceTrees) {
    this.#trees = trees;
  }

  async one(bug: FindableBug): Promise<Hunted> {
    const startedMs = performance.now();
    const verdict = await this.#trees.withEdits(bug.edits, (root) =>
      this.#search(bug.finders, root),
    );
    return { verdict, seconds: (performance.now() - startedMs) / 1000 };
  }

  async #search(finders: readonly Finder[], root: string): Promise<Verdict> {
    const silent: string[] = [];
    for (const finder of finders) {
      const answer = await ask(finder, root);
      const verdict = answer.kind === "found" ? await this.#confirmed(finder, answer) : answer;
      if (verdict.kind === "found") return verdict;
      silent.push(`${verdict.by}: ${verdict.message}`);
    }
    return { kind: "silent", by: "nobody", message: silent.join("; ") };
  }

  async #confirmed(finder: Finder, found: Verdict & { kind: "found" }): Promise<Verdict> {
    const clean = await this.#askClean(finder, found.seed);
    if (clean.kind === "clean") return found;
    const at = found.seed === undefined ? "" : `, seed ${found.seed}`;
    const message = `not clean without the bug, either${at}: ${clean.message}`;
    return { kind: "silent", by: found.by, message };
  }

  #askClean(finder: Finder, seed: number | undefined): Promise<Verdict> {
    const { clean } = this.#trees;
    if (finder.kind !== "test")
      return ask(finder, clean, seed ?? 1, seed === undefined ? SEEDS_MAX : 1);
    const known = this.#cleanFiles.get(finder.file) ?? ask(finder, clean);
    this.#cleanFiles.set(finder.file, known);
    return known;
  }
}
