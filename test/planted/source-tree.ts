/**
 * Copies of the sources in a temporary directory, one of them untouched, each other with one bug
 * in it. The first copy is taken once, so that a whole run judges one state of the sources,
 * whoever edits them meanwhile.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Edit } from "./planted-bug.ts";

export const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const COPIED = ["raft", "storage", "server", "clients", "test", "package.json", "tsconfig.json"];

/** An edit that does not fit the sources any more. */
export class EditError extends Error {
  override readonly name = "EditError";
}

export class SourceTrees {
  readonly #directory = mkdtempSync(join(tmpdir(), "raft-kv-planted-"));
  /** The sources as they are: whatever finds a bug must find none here. */
  readonly clean = join(this.#directory, "clean");
  #copies = 0;

  constructor() {
    copy(ROOT, this.clean);
  }

  /** A copy with the edits in it, for as long as `use` runs. */
  async withEdits<T>(edits: readonly Edit[], use: (root: string) => Promise<T>): Promise<T> {
    this.#copies += 1;
    const root = join(this.#directory, `${this.#copies}`);
    copy(this.clean, root);
    try {
      for (const edit of edits) applyEdit(root, edit);
      return await use(root);
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  }

  remove(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

export function applyEdit(root: string, edit: Edit): void {
  const path = join(root, edit.file);
  writeFileSync(path, edited(readFileSync(path, "utf8"), edit));
}

export function edited(text: string, { file, find, replace }: Edit): string {
  const parts = text.split(find);
  if (parts.length !== 2) {
    throw new EditError(`${file} holds ${parts.length - 1} times, not once: ${find}`);
  }
  return parts.join(replace);
}

function copy(from: string, to: string): void {
  for (const name of COPIED) cpSync(join(from, name), join(to, name), { recursive: true });
  symlinkSync(join(ROOT, "node_modules"), join(to, "node_modules"));
}
