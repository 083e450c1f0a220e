/**
 * Who may import whom. Each folder has a door (`index.ts`); nobody walks past it. Production code
 * never loads test support, and every production file is reached from an entry.
 */
import { posix } from "node:path";
import { codeOf, importsOf } from "./scan.ts";

export interface SourceFile {
  /** From the project's root, with `/`. */
  readonly path: string;
  readonly text: string;
}

export interface Violation {
  readonly path: string;
  /** 0 when it concerns the whole file. */
  readonly line: number;
  readonly message: string;
}

interface FolderRule {
  /** Files of other folders. */
  readonly doors: readonly string[];
  readonly packages: readonly string[];
  /** `node:` modules; "all" for any. */
  readonly node: readonly string[] | "all";
}

interface Extra {
  readonly doors: readonly string[];
  readonly node: readonly string[];
}

const FOLDERS: ReadonlyMap<string, FolderRule> = new Map([
  ["raft", { doors: [], packages: [], node: [] }],
  [
    "storage",
    {
      doors: ["raft/index.ts"],
      packages: ["proper-lockfile"],
      node: ["node:fs", "node:path", "node:zlib", "node:net"],
    },
  ],
  [
    "server",
    {
      doors: ["raft/index.ts", "storage/index.ts", "clients/contract.ts"],
      packages: ["hono", "@hono/node-server", "zod", "pino", "sorted-btree"],
      node: "all",
    },
  ],
  ["clients", { doors: [], packages: ["zod"], node: [] }],
  [
    "loadtest",
    {
      doors: ["clients/index.ts", "clients/contract.ts"],
      packages: ["autocannon", "hono", "@hono/node-server", "zod"],
      node: "all",
    },
  ],
]);

/** Few files may do more than their folder. */
function extraFor(path: string): Extra {
  // The command line dispatches to the client's commands; the composition root alone knows both.
  const doors = path === "server/main.ts" ? ["clients/index.ts", "clients/cli.ts"] : [];
  // The client library runs in a browser; the command line around it does not.
  const node = isClientCommandLine(path) ? ["node:util"] : [];
  return { doors, node };
}

export function isClientCommandLine(path: string): boolean {
  return /^clients\/cli[\w-]*\.ts$/u.test(path);
}

export const ENTRIES = ["server/main.ts", "clients/index.ts", "loadtest/main.ts"] as const;

export function topFolder(path: string): string {
  return path.split("/")[0] ?? "";
}

export function isTestSupport(path: string): boolean {
  return path.startsWith("test/") || path.includes("/testing/") || path.endsWith(".test.ts");
}

export function importViolations(files: readonly SourceFile[]): readonly Violation[] {
  return files.flatMap((file) => {
    if (topFolder(file.path) === "test") return [];
    return importsOf(file.text, codeOf(file.text)).flatMap(({ specifier, line, isFileName }) => {
      const problem = isFileName
        ? fileNameProblem(file.path, specifier)
        : importProblem(file.path, specifier);
      return problem === undefined ? [] : [{ path: file.path, line, message: problem }];
    });
  });
}

function fileNameProblem(path: string, name: string): string | undefined {
  const target = resolve(path, name);
  if (isTestSupport(path) || !isTestSupport(target)) return undefined;
  return `production code loads the test support ${target}`;
}

function resolve(path: string, specifier: string): string {
  return posix.normalize(posix.join(posix.dirname(path), specifier));
}

function importProblem(path: string, specifier: string): string | undefined {
  const folder = topFolder(path);
  const rule = FOLDERS.get(folder);
  if (rule === undefined) return `${folder}/ is not in the table of folders`;
  if (specifier.startsWith(".")) return relativeProblem(path, specifier, rule);
  if (specifier.startsWith("node:")) return nodeProblem(path, specifier, rule);
  const name = specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
  if (rule.packages.includes(name)) return undefined;
  if (isTestSupport(path) && (name === "zod" || name === "hono")) return undefined;
  return `${folder}/ may not import the package ${name}`;
}

function relativeProblem(path: string, specifier: string, rule: FolderRule): string | undefined {
  const target = resolve(path, specifier);
  if (!isTestSupport(path)) {
    if (isTestSupport(target)) return `production code loads the test support ${target}`;
    if (!/\.(?:ts|html|js)$/u.test(target)) return `${specifier} lacks its extension`;
  }
  if (topFolder(target) === topFolder(path)) return undefined;
  const doors = [...rule.doors, ...extraFor(path).doors];
  if (doors.includes(target)) return undefined;
  const isSupportOfNeighbour =
    isTestSupport(path) &&
    target.includes("/testing/") &&
    rule.doors.some((door) => topFolder(door) === topFolder(target));
  if (isSupportOfNeighbour) return undefined;
  return `${topFolder(path)}/ may not reach into ${target}`;
}

function nodeProblem(path: string, specifier: string, rule: FolderRule): string | undefined {
  if (isTestSupport(path) || rule.node === "all" || rule.node.includes(specifier)) return undefined;
  if (extraFor(path).node.includes(specifier)) return undefined;
  return `${topFolder(path)}/ may not import ${specifier}`;
}

/** What the client library loads must run in a browser. */
export function browserViolations(files: readonly SourceFile[]): readonly Violation[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  return [...reachable(byPath, ["clients/index.ts"])].filter(isClientCommandLine).map((path) => ({
    path,
    line: 0,
    message: "the client library leads to the command line",
  }));
}

/** Production files that no entry leads to, and test support that no test leads to. */
export function deadFiles(
  files: readonly SourceFile[],
  entries: readonly string[],
): readonly Violation[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const missing = entries.filter((entry) => !byPath.has(entry));
  const tests = files.map(({ path }) => path).filter((path) => path.endsWith(".test.ts"));
  const alive = reachable(byPath, entries);
  const inTests = reachable(byPath, tests);
  return [
    ...missing.map((path) => ({ path, line: 0, message: "the entry does not exist" })),
    ...files
      .filter(({ path }) => topFolder(path) !== "test" && !path.endsWith(".test.ts"))
      .filter(({ path }) => !(isTestSupport(path) ? inTests : alive).has(path))
      .filter(({ path, text }) => !(isTestSupport(path) && text.startsWith("#!")))
      .map(({ path }) => ({ path, line: 0, message: "nothing leads to this file" })),
  ];
}

function reachable(
  files: ReadonlyMap<string, SourceFile>,
  entries: readonly string[],
): ReadonlySet<string> {
  const seen = new Set<string>();
  const pending = [...entries];
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    const file = files.get(path);
    if (file === undefined || seen.has(path)) continue;
    seen.add(path);
    for (const { specifier } of importsOf(file.text, codeOf(file.text))) {
      if (specifier.startsWith(".")) pending.push(resolve(path, specifier));
    }
  }
  return seen;
}
