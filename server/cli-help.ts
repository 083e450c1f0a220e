/**
 * The help texts. Options come from the same schemas that parse them (`options.ts`), so a text can
 * not promise a flag that does not exist, nor keep one secret.
 */
import { serverSchema } from "./config.ts";
import { devSchema } from "./dev/dev-options.ts";
import { type Option, type OptionSchema, optionsOf } from "./options.ts";

const WIDTH = 100;
const INDENT = "  ";

export interface CommandSummary {
  readonly usage: string;
  readonly summary: string;
}

const PROCESS_COMMANDS: readonly CommandSummary[] = [
  { usage: "dev", summary: "three nodes on this machine, in one terminal" },
  { usage: "dev stop|start|kill|list", summary: "from a second terminal: one node of those" },
  { usage: "server --id N", summary: "one node" },
];

/** `raft-kv --help`; `clientCommands` are those the caller has beside the processes. */
export function mainHelp(clientCommands: readonly CommandSummary[]): string {
  const commands = [...PROCESS_COMMANDS, ...clientCommands];
  const width = Math.max(...commands.map(({ usage }) => usage.length)) + 2;
  return [
    "raft-kv: a replicated key-value store (Raft), linearizable and durable.",
    "",
    "Usage: raft-kv COMMAND [options]",
    "",
    ...commands.map(({ usage, summary }) => `${INDENT}${usage.padEnd(width)}${summary}`),
    "",
    "`raft-kv COMMAND --help` says more. Exit codes: 0 done, 1 failed, 2 wrong settings.",
    "",
  ].join("\n");
}

export function serverHelp(): string {
  return [
    "Usage: raft-kv server --id N [options]",
    "",
    "Runs one node until SIGTERM or Ctrl-C: it then hands leadership over, finishes what it began",
    "and exits with 0.",
    "",
    ...optionLines(serverSchema),
    ...sourcesText(),
    "Example, one of three nodes on this machine:",
    `${INDENT}raft-kv server --id 1 --cluster \\`,
    `${INDENT}${INDENT}1=127.0.0.1:9001/127.0.0.1:8001,2=127.0.0.1:9002/127.0.0.1:8002,\\`,
    "3=127.0.0.1:9003/127.0.0.1:8003",
    "",
  ].join("\n");
}

export function devHelp(): string {
  return [
    "Usage: raft-kv dev [options] [-- options of `raft-kv server`, for every node]",
    `       raft-kv dev list | start NODE | stop NODE | kill NODE [--data DIR]`,
    "",
    "Starts a cluster on this machine. Ctrl-C stops all nodes; a second Ctrl-C kills them. What they",
    "stored is found again at the next start. The second form, from another terminal, starts or stops",
    "one node of the running cluster, such as node2; kill is kill -9.",
    "",
    ...optionLines(devSchema),
    ...sourcesText(),
    "Examples:",
    `${INDENT}raft-kv dev -n 5 --data /tmp/five`,
    `${INDENT}raft-kv dev --config cluster.json -- --log-level debug`,
    `${INDENT}raft-kv dev stop node2`,
    "",
  ].join("\n");
}

function sourcesText(): readonly string[] {
  return [
    "Every option is also an environment variable (--peer-listen is RAFT_KV_PEER_LISTEN) and, except",
    "--config, a key of the config file (peerListen). A flag beats the environment, which beats the",
    "file; a name nobody knows is an error.",
    "",
  ];
}

function optionLines(schema: OptionSchema): readonly string[] {
  const options = optionsOf(schema);
  const width = Math.max(...options.map((option) => spelling(option).length)) + 2;
  const lines = options.flatMap((option) => {
    const text = wrap(`${option.help}${defaultText(option)}`, WIDTH - INDENT.length - width);
    return text.map(
      (line, index) => INDENT + (index === 0 ? spelling(option) : "").padEnd(width) + line,
    );
  });
  return ["Options:", ...lines, ""];
}

function spelling({ flag, placeholder }: Option): string {
  return placeholder === undefined ? flag : `${flag} ${placeholder}`;
}

/** What the schema gives where nothing was said; other defaults stand in the help in words. */
function defaultText({ schema, placeholder }: Option): string {
  const parsed = schema.safeParse(undefined);
  if (!parsed.success) return " Required.";
  const value = parsed.data;
  if (typeof value === "number" && placeholder === "BYTES") return ` Default: ${inMiB(value)}.`;
  if (typeof value === "number" || typeof value === "string") return ` Default: ${value}.`;
  return "";
}

function inMiB(bytes: number): string {
  return `${bytes / 1024 ** 2}MiB`;
}

function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
