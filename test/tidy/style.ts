/** What a file may contain, and how long things may be. */
import { isTestSupport, type SourceFile, topFolder, type Violation } from "./layout.ts";
import { codeOf, functionsOf, lineAt } from "./scan.ts";

const COLUMNS_MAX = 100;
const FUNCTION_LINES_MAX = 70;
const FILE_LINES_MAX = 500;
const TEST_FILE_LINES_MAX = 800;

/** A word that must not stand in the code of some files. */
interface Ban {
  readonly pattern: RegExp;
  readonly message: string;
  readonly appliesTo: (path: string) => boolean;
}

/** A name used as a value: no property of something, no key of an object, no part of a word. */
function name(names: string): RegExp {
  return new RegExp(`(?<![.\\w$#])(?:${names})(?![\\w$]|\\??:)`, "gu");
}

const isProduction = (path: string): boolean => !isTestSupport(path);

const mayTellTime = (path: string): boolean =>
  path === "server/clock.ts" ||
  path === "clients/clock.ts" ||
  path.startsWith("server/dev/") ||
  path.startsWith("loadtest/");

const BANS: readonly Ban[] = [
  {
    pattern: name(
      "Date|setTimeout|setInterval|setImmediate|queueMicrotask|performance|console|process|Buffer|" +
        "fetch|crypto|globalThis|require|async|await|Promise",
    ),
    message: "raft/ is pure: no clock, no I/O, no ambient names, nothing asynchronous",
    appliesTo: (path) => topFolder(path) === "raft" && isProduction(path),
  },
  {
    pattern: /(?<![.\w])Math\s*\.\s*random/gu,
    message: "randomness is handed in, so that a run can be repeated",
    appliesTo: (path) => topFolder(path) === "raft" || path.startsWith("test/"),
  },
  {
    pattern:
      /(?<![.\w$#])(?:(?:setTimeout|setInterval|setImmediate)(?![\w$])|(?:Date\s*\.\s*now|performance\s*\.\s*now|process\s*\.\s*hrtime)\b|new\s+Date\b)/gu,
    message: "time comes from the Clock port",
    appliesTo: (path) => isProduction(path) && !mayTellTime(path),
  },
  {
    pattern: /(?<![.\w$#])console\s*\./gu,
    message: "only the logger and the command lines speak",
    appliesTo: (path) => isProduction(path) && topFolder(path) !== "loadtest",
  },
  {
    pattern: /(?:[:<|&]|\bas|=>)\s*any\b|,\s*any\s*>/gu,
    message: "`any` switches the checks off",
    appliesTo: () => true,
  },
  {
    pattern: /\.(?:sort|toSorted)\(\s*\)/gu,
    message: "the default order compares texts: 10 before 9",
    appliesTo: () => true,
  },
];

export function styleViolations(files: readonly SourceFile[]): readonly Violation[] {
  return files.flatMap((file) => {
    const code = codeOf(file.text);
    return [
      ...bannedNames(file.path, code),
      ...lengths(file, code),
      ...unfinished(file),
      ...missingHeader(file),
    ];
  });
}

function bannedNames(path: string, code: string): readonly Violation[] {
  return BANS.filter(({ appliesTo }) => appliesTo(path)).flatMap(({ pattern, message }) =>
    [...code.matchAll(pattern)].map((match) => ({
      path,
      line: lineAt(code, match.index),
      message: `${match[0].trim()}: ${message}`,
    })),
  );
}

function lengths({ path, text }: SourceFile, code: string): readonly Violation[] {
  const lines = text.split("\n");
  const linesMax = isTestSupport(path) ? TEST_FILE_LINES_MAX : FILE_LINES_MAX;
  const found: Violation[] = [];
  if (lines.length - 1 > linesMax) {
    found.push({ path, line: 0, message: `${lines.length - 1} lines, more than ${linesMax}` });
  }
  const codeLines = code.split("\n");
  lines.forEach((line, index) => {
    if ([...line].length <= COLUMNS_MAX || isOneText(line, codeLines[index] ?? "")) return;
    found.push({ path, line: index + 1, message: `wider than ${COLUMNS_MAX} columns` });
  });
  for (const { firstLine, lastLine, ownLines } of functionsOf(code)) {
    // A suite is a function full of tests; its tests count one by one.
    const length = isTestSupport(path) ? ownLines : lastLine - firstLine + 1;
    if (length <= FUNCTION_LINES_MAX) continue;
    const message = `a function of ${length} lines, more than ${FUNCTION_LINES_MAX}`;
    found.push({ path, line: firstLine, message });
  }
  return found;
}

/** A sentence in quotes is not broken; everything else on the line still has to fit. */
function isOneText(line: string, code: string): boolean {
  const comment = /\/\/|\/\*|^\s*\*/u.exec(line);
  if (comment !== null && code.slice(comment.index, comment.index + 2).trim() === "") return false;
  const indent = line.length - line.trimStart().length;
  return indent + code.trim().replace(/ {2,}/gu, "").length <= COLUMNS_MAX;
}

/** Put together here, so that this file does not contain them. */
const MARKS = [["TO", "DO"].join(""), ["FIX", "ME"].join(""), ["X", "XX"].join("")];

function unfinished({ path, text }: SourceFile): readonly Violation[] {
  return [...text.matchAll(new RegExp(`\\b(?:${MARKS.join("|")})\\b`, "gu"))].map((match) => ({
    path,
    line: lineAt(text, match.index),
    message: `${match[0]}: finish it, or write it down elsewhere`,
  }));
}

function missingHeader({ path, text }: SourceFile): readonly Violation[] {
  if (path.endsWith(".test.ts") || /^(?:#![^\n]*\n)?\/(?:\*\*|\/)/u.test(text)) return [];
  return [{ path, line: 1, message: "a file opens by saying what it owns" }];
}

/** One title per document: a second one is a second document. */
export function markdownViolations(files: readonly SourceFile[]): readonly Violation[] {
  return files.flatMap(({ path, text }) => {
    const prose = text.replace(/^(`{3,}|~{3,})[^\n]*\n[\s\S]*?^\1/gmu, "");
    const titles = prose.match(/^# /gmu)?.length ?? 0;
    return titles === 1 ? [] : [{ path, line: 0, message: `${titles} titles, not one` }];
  });
}
