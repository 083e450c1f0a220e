/**
 * `raft-kv dev`: a whole cluster in one terminal, and the words by which a second terminal talks to
 * it. The nodes are ordinary servers; nothing here is on the path of a request.
 */
import { accessSync, constants, mkdirSync, readFileSync } from "node:fs";
import { relative } from "node:path";
import { devHelp } from "../cli-help.ts";
import { asksForHelp, ConfigError, type OptionSources } from "../options.ts";
import { askSupervisor, CONTROL_ACTIONS, type ControlRequest } from "./control.ts";
import { devSchema } from "./dev-options.ts";
import { parseDevOptions, planDevCluster } from "./plan.ts";
import { portProblems } from "./ports.ts";
import { openScreen, type Screen } from "./screen.ts";
import { Supervisor } from "./supervisor.ts";

const DATA_DEFAULT = devSchema.shape.data.parse(undefined);
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * `argv` is what follows `dev`; `script` is the program each node runs. Resolves with the exit code
 * once everything has stopped.
 */
export async function runDev(argv: readonly string[], script: string): Promise<number> {
  const own = argv.includes("--") ? argv.slice(0, argv.indexOf("--")) : argv;
  if (asksForHelp(own)) {
    process.stdout.write(devHelp());
    return 0;
  }
  const sources: OptionSources = {
    args: argv,
    environment: process.env,
    readFile: (path) => readFileSync(path, "utf8"),
  };
  try {
    const { words, flags } = splitWords(own);
    const action = CONTROL_ACTIONS.find((name) => name === words[0]);
    if (action === undefined) return await runCluster(sources, script);
    if (words.length > 2) throw new ConfigError("dev", [`unexpected argument "${words[2]}"`]);
    const request = { action, node: words[1] };
    return await runControl(request, { ...sources, args: flags });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return error.exitCode;
  }
}

/** Tells words such as `stop node2` from flags and their values, in whichever order they stand. */
function splitWords(args: readonly string[]): {
  readonly words: readonly string[];
  readonly flags: readonly string[];
} {
  const words: string[] = [];
  const flags: string[] = [];
  let isValue = false;
  for (const arg of args) {
    if (isValue || arg.startsWith("-")) flags.push(arg);
    else words.push(arg);
    // Every flag of dev takes a value.
    isValue = !isValue && arg.startsWith("-") && !arg.includes("=");
  }
  return { words, flags };
}

async function runControl(request: ControlRequest, sources: OptionSources): Promise<number> {
  const { data } = parseDevOptions(sources);
  const answer = await askSupervisor(data, request);
  if (answer === undefined) {
    process.stderr.write(`raft-kv dev: no development cluster is running on ${data}\n`);
    return 1;
  }
  (answer.ok ? process.stdout : process.stderr).write(`${answer.text}\n`);
  return answer.ok ? 0 : 1;
}

async function runCluster(sources: OptionSources, script: string): Promise<number> {
  const plan = planDevCluster(sources);
  if (
    (await askSupervisor(plan.dataDirectory, { action: "list", node: undefined })) !== undefined
  ) {
    const problem = `a development cluster is running on ${plan.dataDirectory} already`;
    throw new ConfigError("dev", [problem]);
  }
  const problems = await portProblems(plan.nodes.flatMap(({ client, peer }) => [client, peer]));
  if (problems.length > 0) throw new ConfigError("dev", problems);
  prepareDirectory(plan.dataDirectory);

  const screen = openScreen(
    plan.nodes.map(({ name }) => name),
    sources.environment,
  );
  const program = `node ${relative(process.cwd(), script)} dev`;
  const where = plan.dataDirectory === DATA_DEFAULT ? "" : ` --data ${plan.dataDirectory}`;
  const supervisor = new Supervisor({
    plan,
    script,
    environment: nodeEnvironment(sources.environment, screen),
    screen,
    spell: (words) => `${program} ${words}${where}`,
  });
  const stop = (): void => supervisor.stop();
  for (const signal of SIGNALS) process.on(signal, stop);
  try {
    return await supervisor.run();
  } finally {
    for (const signal of SIGNALS) process.off(signal, stop);
  }
}

function prepareDirectory(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    accessSync(path, constants.W_OK);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ConfigError("dev", [`cannot write to --data ${path}: ${reason}`]);
  }
}

/** A node writes into a pipe; whether there is colour is decided by the terminal behind it. */
function nodeEnvironment(
  environment: OptionSources["environment"],
  screen: Screen,
): Readonly<Record<string, string | undefined>> {
  // Node warns when both variables are set.
  if ((environment["NO_COLOR"] ?? "") !== "") return environment;
  return { ...environment, FORCE_COLOR: screen.hasColour ? "1" : "0" };
}
