import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import {
  browserViolations,
  deadFiles,
  ENTRIES,
  importViolations,
  type SourceFile,
  type Violation,
} from "./tidy/layout.ts";
import { codeOf, functionsOf, importsOf } from "./tidy/scan.ts";
import { markdownViolations, styleViolations } from "./tidy/style.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const SKIPPED = new Set(["node_modules", "dist", "data", "coverage", ".git"]);

function read(suffix: string, directory = ""): readonly SourceFile[] {
  return readdirSync(join(ROOT, directory), { withFileTypes: true }).flatMap((entry) => {
    const path = posix.join(directory, entry.name);
    if (entry.isDirectory()) return SKIPPED.has(entry.name) ? [] : read(suffix, path);
    if (!entry.name.endsWith(suffix)) return [];
    return [{ path, text: readFileSync(join(ROOT, path), "utf8") }];
  });
}

function report(violations: readonly Violation[]): string {
  return violations.map(({ path, line, message }) => `${path}:${line}: ${message}`).join("\n");
}

const sources = read(".ts");

/** The whole list in the message: an assertion on equality would cut it short. */
function assertNone(violations: readonly Violation[]): void {
  if (violations.length > 0) assert.fail(`${violations.length} violations\n${report(violations)}`);
}

describe("this project", () => {
  test("every folder imports only what the table of folders allows", () => {
    assertNone(importViolations(sources));
  });

  test("every production file is reached from an entry, and test support from a test", () => {
    assertNone(deadFiles(sources, ENTRIES));
  });

  test("the client library leads to nothing that needs Node", () => {
    assertNone(browserViolations(sources));
  });

  test("files, functions and lines keep their bounds and contain nothing banned", () => {
    assertNone(styleViolations(sources));
  });

  test("every document has one title", () => {
    assertNone(markdownViolations(read(".md")));
  });

  test("raft/ compiles without any ambient type: no process, no timers, no Buffer", () => {
    const compiler = join(ROOT, "node_modules", "typescript", "bin", "tsc");
    const args = [compiler, "-p", join(ROOT, "raft", "tsconfig.json"), "--pretty", "false"];
    try {
      execFileSync(process.execPath, args, { encoding: "utf8", stdio: "pipe" });
    } catch (error) {
      assert.fail(
        error instanceof Error && "stdout" in error ? String(error.stdout) : "tsc failed",
      );
    }
  });
});

function imports(path: string, ...lines: readonly string[]): string {
  return report(importViolations([{ path, text: lines.join("\n") }]));
}

describe("the layout rule", () => {
  const planted: readonly (readonly [string, string, string])[] = [
    ["raft/a.ts", "node:fs", "raft/ may not import node:fs"],
    ["raft/a.ts", "zod", "raft/ may not import the package zod"],
    ["raft/a.ts", "../storage/index.ts", "raft/ may not reach into storage/index.ts"],
    ["storage/a.ts", "../raft/log.ts", "storage/ may not reach into raft/log.ts"],
    ["storage/a.ts", "node:http", "storage/ may not import node:http"],
    ["storage/a.ts", "hono", "storage/ may not import the package hono"],
    ["server/kv/a.ts", "../../raft/node.ts", "server/ may not reach into raft/node.ts"],
    ["server/a.ts", "../clients/index.ts", "server/ may not reach into clients/index.ts"],
    ["server/a.ts", "autocannon", "server/ may not import the package autocannon"],
    ["clients/a.ts", "../raft/index.ts", "clients/ may not reach into raft/index.ts"],
    ["clients/a.ts", "node:util", "clients/ may not import node:util"],
    ["loadtest/a.ts", "../server/config.ts", "loadtest/ may not reach into server/config.ts"],
    ["raft/a.ts", "./testing/b.ts", "production code loads the test support raft/testing/b.ts"],
    ["raft/a.ts", "./b.test.ts", "production code loads the test support raft/b.test.ts"],
    ["raft/a.ts", "./b", "./b lacks its extension"],
    ["raft/testing/a.ts", "../../storage/index.ts", "raft/ may not reach into storage/index.ts"],
    ["clients/index.ts", "node:util", "clients/ may not import node:util"],
    ["misc/a.ts", "node:fs", "misc/ is not in the table of folders"],
  ];

  for (const [path, specifier, expected] of planted) {
    test(`${path} is refused ${specifier}`, () => {
      assert.equal(imports(path, `import { x } from "${specifier}";`), `${path}:1: ${expected}`);
    });
  }

  test("every way of loading a file is seen, on whichever line it stands", () => {
    const text = [
      'import "node:fs";',
      "import {",
      "  a,",
      '} from "node:os";',
      'export type { b } from "node:net";',
      'const c = await import("node:dns");',
      'const d: import("node:tls").Socket = e;',
      'export * from "node:vm";',
    ];
    const found = importViolations([{ path: "raft/a.ts", text: text.join("\n") }]);
    assert.deepEqual(
      found.map(({ line }) => line),
      [1, 4, 5, 6, 7, 8],
    );
  });

  test("what only looks like an import is left alone", () => {
    const text = [
      '// import { a } from "node:fs";',
      "const b = 'import \"node:fs\"';",
      'const c = `from "node:os"`;',
      'const d = /from "node:os"/u;',
    ];
    assert.equal(imports("raft/a.ts", ...text), "");
  });

  test("what the table allows is allowed", () => {
    const allowed: readonly (readonly [string, string])[] = [
      ["raft/a.ts", "./log.ts"],
      ["raft/a.test.ts", "node:test"],
      ["storage/a.ts", "../raft/index.ts"],
      ["storage/a.ts", "node:zlib"],
      ["server/http/a.ts", "hono/http-exception"],
      ["server/http/a.ts", "../../clients/contract.ts"],
      ["server/testing/a.ts", "../../storage/testing/memory-file-system.ts"],
      ["server/main.ts", "../clients/index.ts"],
      ["loadtest/a.ts", "../clients/index.ts"],
      ["test/a.ts", "../raft/node.ts"],
    ];
    for (const [path, specifier] of allowed) {
      assert.equal(imports(path, `import { x } from "${specifier}";`), "");
    }
  });
});

describe("the client library", () => {
  test("may not lead to the command line, however far round", () => {
    const files = [
      { path: "clients/index.ts", text: 'export { a } from "./a.ts";' },
      { path: "clients/a.ts", text: 'import type { B } from "./cli-b.ts";' },
      { path: "clients/cli-b.ts", text: "" },
    ];
    assert.match(report(browserViolations(files)), /^clients\/cli-b\.ts:0: the client library/u);
  });
});

describe("the search for dead files", () => {
  test("follows imports, types and doors, and names what is left", () => {
    const files = [
      { path: "server/main.ts", text: 'import { a } from "./a.ts";' },
      { path: "server/a.ts", text: 'export type * from "../raft/index.ts";' },
      { path: "raft/index.ts", text: "" },
      { path: "raft/dead.ts", text: 'import "./only-by-the-dead.ts";' },
      { path: "raft/only-by-the-dead.ts", text: "" },
      { path: "raft/testing/used.ts", text: "" },
      { path: "raft/testing/unused.ts", text: "" },
      { path: "raft/a.test.ts", text: 'import "./testing/used.ts";' },
    ];
    assert.deepEqual(
      deadFiles(files, ["server/main.ts", "clients/index.ts"]).map(({ path }) => path),
      ["clients/index.ts", "raft/dead.ts", "raft/only-by-the-dead.ts", "raft/testing/unused.ts"],
    );
  });
});

function style(path: string, ...lines: readonly string[]): string {
  const text = ["/** A file. */", ...lines, ""].join("\n");
  return report(styleViolations([{ path, text }]));
}

describe("the rules of style", () => {
  test("raft/ may not touch the world", () => {
    for (const code of [
      "const now = Date.now();",
      "setTimeout(run, 1);",
      "const dice = Math.random();",
      "console.log(1);",
      "const env = process.env;",
      "const bytes = Buffer.alloc(1);",
      "async function f() {}",
      "const p: Promise<void> = q;",
    ]) {
      assert.match(style("raft/a.ts", code), /^raft\/a\.ts:2: /u, code);
    }
    assert.equal(style("raft/a.ts", "const time = entry.process; // Date, await"), "");
    assert.equal(style("raft/a.test.ts", "const bytes = Buffer.alloc(1);"), "");
  });

  test("time is told in a few places only", () => {
    const code = "const at = performance.now();";
    assert.match(style("server/replica.ts", code), /time comes from the Clock port/u);
    assert.match(style("storage/wal.ts", "const at = new Date();"), /Clock port/u);
    assert.match(style("server/a.ts", "import { setTimeout as s } from x;"), /Clock port/u);
    for (const path of ["server/clock.ts", "server/dev/a.ts", "loadtest/a.ts", "test/a.ts"]) {
      assert.equal(style(path, code), "");
    }
    assert.equal(style("server/a.ts", "socket.setTimeout(0);"), "");
  });

  test("sloppy things are named: any, a sort without an order, unfinished work", () => {
    const mark = ["TO", "DO"].join("");
    assert.match(style("server/a.ts", "const a: any = 1;"), /`any`/u);
    assert.match(style("server/a.ts", "const a = b as any;"), /`any`/u);
    assert.match(style("server/a.ts", "f<any>();"), /`any`/u);
    assert.match(style("server/a.ts", "quorum.sort();"), /10 before 9/u);
    assert.match(style("server/a.ts", `// ${mark}: later`), /finish it/u);
    assert.match(style("server/a.ts", "console.log(1);"), /only the logger/u);
    assert.equal(style("server/a.ts", 'const any = "any"; // any', "f(any);"), "");
  });

  test("lines and files have a bound, a larger one in tests", () => {
    assert.match(style("server/a.ts", `const ${"a".repeat(100)} = 1;`), /:2: wider than 100/u);
    assert.match(style("server/a.ts", `// ${"a".repeat(98)}`), /:2: wider than 100/u);
    assert.match(style("server/a.ts", `/** "${"a".repeat(98)}" */`), /:2: wider than 100/u);
    assert.equal(style("server/a.ts", `const sentence = "${"a b ".repeat(30)}";`), "");
    const lines = (count: number) => Array.from({ length: count }, () => "a();");
    assert.match(style("server/a.ts", ...lines(500)), /501 lines, more than 500/u);
    assert.equal(style("server/a.test.ts", ...lines(500)), "");
    assert.match(style("server/a.test.ts", ...lines(800)), /801 lines, more than 800/u);
  });

  test("a file opens by saying what it owns", () => {
    const files = [{ path: "server/a.ts", text: "const a = 1;\n" }];
    assert.match(report(styleViolations(files)), /opens by saying/u);
  });

  test("a document has one title, and code in it does not count", () => {
    const check = (text: string) => report(markdownViolations([{ path: "A.md", text }]));
    assert.equal(check("# A\n\n## B\n\n```sh\n# comment\n```\n"), "");
    assert.match(check("# A\n\n# B\n"), /2 titles/u);
    assert.match(check("no title\n"), /0 titles/u);
  });
});

describe("the measure of functions", () => {
  const body = (count: number) => Array.from({ length: count }, () => "    a();");
  const forms: readonly (readonly [string, string])[] = [
    ["  function f(): void {", "  }"],
    ["  export async function f<A, B>(a: A): Promise<B> {", "  }"],
    ["  const f = (a: number): void => {", "  };"],
    ["  #step(message: Message): void {", "  }"],
    ["  async step(): Promise<{ readonly a: number }> {", "  }"],
    ["  static open(path: string): Wal {", "  }"],
    ["  constructor(a: number) {", "  }"],
    ["  get term(): number {", "  }"],
    ["  list.forEach((item) => {", "  });"],
    ["  step(\n    message: Message,\n  ): void {", "  }"],
  ];

  test("every form of a function is measured, signature and closing line included", () => {
    for (const [open, close] of forms) {
      const fits = style("server/a.ts", "class A {", open, ...body(66), close, "}");
      assert.equal(fits, "", open);
      const long = style("server/a.ts", "class A {", open, ...body(70), close, "}");
      assert.match(long, /^server\/a\.ts:3: a function of 7\d lines, more than 70$/u, open);
    }
  });

  test("classes, blocks, objects and long conditions are no functions", () => {
    for (const open of [
      "class A {",
      "interface B {",
      "  if (a) {",
      "  } else if (b(c)) {",
      "  for (const a of b()) {",
      "  switch (kind(a)) {",
      "  const table = {",
      "  if (\n    a &&\n    b\n  ) {",
      "  while (next()) {",
    ]) {
      assert.equal(style("server/a.ts", open, ...body(90), "  }", "}"), "", open);
    }
  });

  test("in a suite, only the lines outside its tests count", () => {
    const inner = ['  test("a", () => {', ...body(60), "  });"];
    const suite = ['describe("all", () => {', ...inner, ...inner, ...inner, "});"];
    assert.equal(style("server/a.test.ts", ...suite), "");
    assert.match(style("server/a.ts", ...suite), /a function of 188 lines/u);
    const [outer] = functionsOf(suite.join("\n"));
    assert.deepEqual(outer, { firstLine: 1, lastLine: 188, ownLines: 2 });
  });
});

describe("the scanner", () => {
  test("blanks text and keeps code, line by line and column by column", () => {
    const text = [
      'const a = "say \\"hi\\" // no comment"; // a comment',
      "const b = `one $" + "{two + `three $" + "{four}`} five`;",
      "const c = /[/\"]'/u.test(d) / e;",
      "/* a",
      "   b */ const f = '\\\\';",
    ].join("\n");
    const code = codeOf(text);
    assert.equal(code.length, text.length);
    const words = code.match(/\w+/gu)?.join(" ");
    assert.equal(words, "const a const b two four const c u test d e const f");
  });

  test("reads what is imported from the text, not from the blanks", () => {
    const text =
      'import a from "./a.ts";\nexport { b } from "./b.ts";\nnew URL("c.mjs", import.meta.url);';
    assert.deepEqual(
      importsOf(text, codeOf(text)).map(({ specifier }) => specifier),
      ["./a.ts", "./b.ts", "./c.mjs"],
    );
  });
});
