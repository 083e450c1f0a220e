/**
 * One zod schema as the table of a command's options. Each field is a flag, an environment variable
 * and a key of the config file, all derived from its name; its `meta` says what stands for the
 * value (`title`, none for a switch) and what it does (`description`). The help text reads the same
 * table, so the two cannot drift apart.
 *
 * - A flag beats the environment, which beats the file. An empty variable counts as unset.
 * - A name nobody knows is an error that names it, never ignored.
 * - All problems are reported at once.
 *
 * It knows no option by name but `config`, the file to read.
 */
import * as z from "zod";
import { nearest } from "./nearest.ts";

export type OptionSchema = z.ZodObject<Readonly<Record<string, z.ZodType>>>;

export interface Option {
  /** As it stands in the config file: `electionTimeoutMs`. */
  readonly key: string;
  /** `--election-timeout-ms`. */
  readonly flag: string;
  /** `RAFT_KV_ELECTION_TIMEOUT_MS`. */
  readonly variable: string;
  /** What stands for the value in a help text; undefined for a switch. */
  readonly placeholder: string | undefined;
  readonly help: string;
  readonly schema: z.ZodType;
}

/** Where settings come from; handed in, so that a test needs no process and no file. */
export interface OptionSources {
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly readFile: (path: string) => string;
}

export interface OptionRules {
  readonly command: string;
  /** Short spellings of flags: `-n` for `--nodes`. */
  readonly short?: ReadonlyMap<string, string>;
  /** Other names for keys of the config file. */
  readonly fileAliases?: ReadonlyMap<string, string>;
  /** Keys of the config file and variables that belong to other commands: passed over. */
  readonly foreign?: OptionSchema;
}

/** The process was started with settings it cannot use. `message` is all a person needs. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly code = "bad-config";
  readonly exitCode = 2;
  readonly problems: readonly string[];

  constructor(command: string, problems: readonly string[]) {
    const lines = problems.map((problem) => `  ${problem}`);
    super(
      [
        `raft-kv ${command}: cannot start with these settings:`,
        ...lines,
        `\`raft-kv ${command} --help\` lists all options.`,
      ].join("\n"),
    );
    this.problems = problems;
  }
}

const VARIABLE_PREFIX = "RAFT_KV_";
/** What the client commands read (see their help); set for them, it is no mistake here. */
const CLIENT_VARIABLES = ["RAFT_KV_ENDPOINTS", "RAFT_KV_OUTPUT", "RAFT_KV_TIMEOUT_MS"];

export function optionsOf(schema: OptionSchema): readonly Option[] {
  return Object.entries(schema.shape).map(([key, field]) => {
    const words = key.replace(/[A-Z]/gu, (letter) => `-${letter.toLowerCase()}`);
    const meta = field.meta();
    return {
      key,
      flag: `--${words}`,
      variable: VARIABLE_PREFIX + words.replaceAll("-", "_").toUpperCase(),
      placeholder: meta?.title,
      help: meta?.description ?? "",
      schema: field,
    };
  });
}

export function asksForHelp(args: readonly string[]): boolean {
  return args.includes("--help") || args.includes("-h");
}

/** Gathers, merges and checks; throws a `ConfigError` with everything that is wrong. */
export function parseOptions<Schema extends OptionSchema>(
  schema: Schema,
  sources: OptionSources,
  rules: OptionRules,
): z.output<Schema> {
  const gathering = new Gathering(optionsOf(schema), rules);
  gathering.takeFlags(sources.args);
  gathering.takeEnvironment(sources.environment);
  gathering.takeFile(sources.readFile);
  const parsed = schema.safeParse(gathering.values());
  // A set: two checks of one value may complain in the same words.
  const problems = new Set(gathering.problems);
  if (!parsed.success) {
    for (const issue of parsed.error.issues) problems.add(gathering.describe(issue));
  }
  if (!parsed.success || problems.size > 0) throw new ConfigError(rules.command, [...problems]);
  return parsed.data;
}

interface Setting {
  readonly value: unknown;
  /** Where it was found, as a person would look for it. */
  readonly origin: string;
}

class Gathering {
  readonly problems: string[] = [];
  readonly #options: readonly Option[];
  readonly #rules: OptionRules;
  readonly #settings = new Map<string, Setting>();

  constructor(options: readonly Option[], rules: OptionRules) {
    this.#options = options;
    this.#rules = rules;
  }

  takeFlags(args: readonly string[]): void {
    let position = 0;
    while (position < args.length) {
      const arg = args[position] ?? "";
      position += 1;
      const [typed = "", inline] = splitOnce(arg, "=");
      const option = this.#optionOfFlag(this.#rules.short?.get(typed) ?? typed);
      if (option === undefined) {
        const flags = this.#options.map(({ flag }) => flag);
        this.problems.push(
          arg.startsWith("-")
            ? `unknown flag ${typed}${suggestion(typed, flags)}`
            : `unexpected argument "${arg}"`,
        );
        // What follows an unknown flag is most likely its value; one complaint is enough.
        if (inline === undefined && !(args[position] ?? "-").startsWith("-")) position += 1;
        continue;
      }
      const isSwitch = option.placeholder === undefined;
      const value = inline ?? (isSwitch ? "true" : args[position]);
      if (inline === undefined && !isSwitch) position += 1;
      if (value === undefined) this.problems.push(`${option.flag} needs a value`);
      else if (this.#settings.has(option.key)) this.problems.push(`${option.flag} is given twice`);
      else this.#settings.set(option.key, { value, origin: option.flag });
    }
  }

  takeEnvironment(environment: OptionSources["environment"]): void {
    const own = new Map(this.#options.map(({ variable, key }) => [variable, key]));
    const foreign = new Set(CLIENT_VARIABLES);
    for (const { variable } of this.#foreignOptions()) foreign.add(variable);
    for (const [name, value] of Object.entries(environment)) {
      if (!name.startsWith(VARIABLE_PREFIX) || value === undefined || value === "") continue;
      const key = own.get(name);
      if (key !== undefined) this.#setUnlessSet(key, { value, origin: name });
      else if (!foreign.has(name)) {
        this.problems.push(
          `unknown environment variable ${name}${suggestion(name, [...own.keys()])}`,
        );
      }
    }
  }

  takeFile(readFile: OptionSources["readFile"]): void {
    const path = this.#settings.get("config")?.value;
    if (typeof path !== "string") return;
    const content = this.#readObject(path, readFile);
    const own = new Set(this.#options.map(({ key }) => key).filter((key) => key !== "config"));
    const foreign = new Set(this.#foreignOptions().map(({ key }) => key));
    const taken = new Set<string>();
    for (const [name, value] of content) {
      const key = this.#rules.fileAliases?.get(name) ?? name;
      const origin = `"${name}" in ${path}`;
      if (!own.has(key)) {
        if (foreign.has(key)) continue;
        const names = [...own, ...(this.#rules.fileAliases?.keys() ?? [])];
        this.problems.push(`unknown key ${origin}${suggestion(name, names)}`);
      } else if (taken.has(key)) {
        this.problems.push(`${origin} says the same as another key`);
      } else {
        taken.add(key);
        this.#setUnlessSet(key, { value, origin });
      }
    }
  }

  values(): Readonly<Record<string, unknown>> {
    return Object.fromEntries([...this.#settings].map(([key, { value }]) => [key, value]));
  }

  /** One issue of the schema in terms of what was typed. */
  describe(issue: z.core.$ZodIssue): string {
    const option = this.#options.find(({ key }) => key === issue.path[0]);
    if (option === undefined) return issue.message;
    const setting = this.#settings.get(option.key);
    if (setting === undefined) {
      return `${option.flag} ${option.placeholder ?? ""} is missing (or ${option.variable})`;
    }
    const inside = issue.path.slice(1).map((part) => `[${String(part)}]`);
    const given = typeof setting.value === "string" ? ` (given "${setting.value}")` : "";
    return `${setting.origin}${inside.join("")}${given}: ${issue.message}`;
  }

  #optionOfFlag(flag: string): Option | undefined {
    return this.#options.find((option) => option.flag === flag);
  }

  #foreignOptions(): readonly Option[] {
    return this.#rules.foreign === undefined ? [] : optionsOf(this.#rules.foreign);
  }

  #setUnlessSet(key: string, setting: Setting): void {
    if (!this.#settings.has(key)) this.#settings.set(key, setting);
  }

  #readObject(path: string, readFile: OptionSources["readFile"]): readonly [string, unknown][] {
    try {
      const content = z.record(z.string(), z.unknown()).safeParse(JSON.parse(readFile(path)));
      if (content.success) return Object.entries(content.data);
      this.problems.push(`${path}: must hold one JSON object`);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.problems.push(`cannot read ${path}: ${reason}`);
    }
    return [];
  }
}

function suggestion(typed: string, known: readonly string[]): string {
  const guess = nearest(typed, known);
  return guess === undefined ? "" : `; did you mean ${guess}?`;
}

function splitOnce(text: string, separator: string): readonly [string, string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}
