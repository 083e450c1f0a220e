/**
 * Reads TypeScript just well enough to judge its layout: where code is and where text is, what is
 * imported, how long functions are. The compiler of this project has no JavaScript API to ask; what
 * keeps this small is that all files are formatted by one tool.
 */

/**
 * The code alone: comments and the insides of strings, templates and regular expressions become
 * blanks. Lines and columns stay where they are.
 */
export function codeOf(text: string): string {
  return new Blanker(text).run();
}

const REGEX_MAY_FOLLOW =
  /(?:^|[(,=:[!&|?{};+\-*%<>~^]|\b(?:return|typeof|case|in|of|void|await))$/u;

class Blanker {
  readonly #text: string;
  #at = 0;
  #code = "";

  constructor(text: string) {
    this.#text = text;
  }

  run(): string {
    this.#takeCode(false);
    return this.#code;
  }

  /** Up to the end, or up to the brace that closes the template hole this code stands in. */
  #takeCode(inHole: boolean): void {
    let depth = 0;
    while (this.#at < this.#text.length) {
      const here = this.#text[this.#at] ?? "";
      if (inHole && here === "}" && depth === 0) return;
      if (here === "{") depth += 1;
      if (here === "}") depth -= 1;
      if (this.#text.startsWith("//", this.#at)) this.#blankUntil("\n");
      else if (this.#text.startsWith("/*", this.#at)) this.#blankThrough("*/");
      else if (here === '"' || here === "'") this.#takeString(here);
      else if (here === "`") this.#takeTemplate();
      else if (here === "/" && REGEX_MAY_FOLLOW.test(this.#code.trimEnd().slice(-10))) {
        this.#takeRegex();
      } else this.#keep(1);
    }
  }

  #takeString(quote: string): void {
    this.#keep(1);
    while (this.#at < this.#text.length && this.#text[this.#at] !== quote) {
      this.#blank(this.#text[this.#at] === "\\" ? 2 : 1);
    }
    this.#keep(1);
  }

  #takeTemplate(): void {
    this.#keep(1);
    while (this.#at < this.#text.length && this.#text[this.#at] !== "`") {
      if (this.#text.startsWith("${", this.#at)) {
        this.#keep(2);
        this.#takeCode(true);
        this.#keep(1);
      } else {
        this.#blank(this.#text[this.#at] === "\\" ? 2 : 1);
      }
    }
    this.#keep(1);
  }

  #takeRegex(): void {
    let inClass = false;
    this.#keep(1);
    for (;;) {
      const here = this.#text[this.#at];
      if (here === undefined || here === "\n" || (here === "/" && !inClass)) break;
      if (here === "[") inClass = true;
      if (here === "]") inClass = false;
      this.#blank(here === "\\" ? 2 : 1);
    }
    this.#keep(1);
  }

  #blankUntil(end: string): void {
    const stop = this.#text.indexOf(end, this.#at);
    this.#blank((stop < 0 ? this.#text.length : stop) - this.#at);
  }

  #blankThrough(end: string): void {
    const stop = this.#text.indexOf(end, this.#at + 2);
    this.#blank((stop < 0 ? this.#text.length : stop + end.length) - this.#at);
  }

  #keep(count: number): void {
    this.#code += this.#text.slice(this.#at, this.#at + count);
    this.#at += count;
  }

  #blank(count: number): void {
    this.#code += this.#text.slice(this.#at, this.#at + count).replace(/[^\n]/gu, " ");
    this.#at += count;
  }
}

export interface Import {
  readonly specifier: string;
  readonly line: number;
  /** `new URL("x", import.meta.url)`: a file that is named, not necessarily code. */
  readonly isFileName: boolean;
}

const IMPORT = /(?:\bfrom\s*|^\s*import\s*|\bimport\s*\(\s*|(?<url>\bnew URL\s*\(\s*))"/gmu;

/** Everything a file names to load: imports, re-exports, dynamic imports, files beside it. */
export function importsOf(text: string, code: string): readonly Import[] {
  const found: Import[] = [];
  for (const match of code.matchAll(IMPORT)) {
    const start = match.index + match[0].length;
    const end = text.indexOf('"', start);
    const specifier = text.slice(start, end);
    const isFileName = match.groups?.["url"] !== undefined;
    if (isFileName && !/^",\s*import\.meta\.url/u.test(code.slice(end))) continue;
    const isRelative = !isFileName || specifier.startsWith(".");
    found.push({
      specifier: isRelative ? specifier : `./${specifier}`,
      line: lineAt(code, start),
      isFileName,
    });
  }
  return found;
}

export function lineAt(text: string, index: number): number {
  return text.slice(0, index).split("\n").length;
}

export interface FunctionSpan {
  readonly firstLine: number;
  readonly lastLine: number;
  /** Lines that belong to no function inside this one. */
  readonly ownLines: number;
}

const NOT_FUNCTIONS =
  /^\s*(?:\}\s*)?(?:if|else|for|while|switch|catch|try|do|class|interface|namespace)\b/u;
const FUNCTION_STARTS = [
  /=>\s*\{$/u,
  /\bfunction\b/u,
  /^\s*(?:(?:static|async|override|get|set)\s+)*[*#]?[#\w]+(?:<.*>)?\(.*\{$/u,
  /^\s*\).*\{$/u,
];

/**
 * In formatted code a body's last line starts with `}` at the indentation of the line on which the
 * function starts.
 */
export function functionsOf(code: string): readonly FunctionSpan[] {
  const lines = code.split("\n").map((line) => line.trimEnd());
  const spans: { firstLine: number; lastLine: number }[] = [];
  lines.forEach((line, index) => {
    if (!line.endsWith("{")) return;
    const indent = indentOf(line);
    const first = line.trimStart().startsWith(")") ? startOfSignature(lines, index) : index;
    if (
      NOT_FUNCTIONS.test(lines[first] ?? "") ||
      !FUNCTION_STARTS.some((start) => start.test(line))
    )
      return;
    const length = lines
      .slice(index + 1)
      .findIndex((later) => later.trimStart().startsWith("}") && indentOf(later) === indent);
    if (length >= 0) spans.push({ firstLine: first + 1, lastLine: index + length + 2 });
  });
  return spans.map((span) => ({ ...span, ownLines: ownLines(span, spans) }));
}

function ownLines(
  span: { readonly firstLine: number; readonly lastLine: number },
  all: readonly { readonly firstLine: number; readonly lastLine: number }[],
): number {
  const covered = new Set<number>();
  for (const { firstLine, lastLine } of all) {
    if (firstLine <= span.firstLine || lastLine > span.lastLine) continue;
    for (let line = firstLine; line <= lastLine; line += 1) covered.add(line);
  }
  return span.lastLine - span.firstLine + 1 - covered.size;
}

/** The line above, at the same indentation, on which a signature of several lines starts. */
function startOfSignature(lines: readonly string[], closing: number): number {
  const indent = indentOf(lines[closing] ?? "");
  for (let index = closing - 1; index >= 0; index -= 1) {
    const line = lines[index] ?? "";
    if (line !== "" && indentOf(line) === indent) return index;
  }
  return closing;
}

function indentOf(line: string): number {
  return line.length - line.trimStart().length;
}
