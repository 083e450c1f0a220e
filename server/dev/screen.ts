/** The supervisor's screen: one stream, a coloured prefix for every node. */
import { wantsColour } from "../logger.ts";

const PREFIX_COLOURS = [36, 33, 35, 32, 34, 96, 93, 95, 92] as const;

export interface Screen {
  readonly hasColour: boolean;
  nodeLine(name: string, text: string): void;
  say(text: string): void;
}

export function openScreen(
  names: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Screen {
  const hasColour = wantsColour(process.stdout.isTTY === true, environment);
  const width = Math.max(...names.map(({ length }) => length));
  const prefixes = new Map(
    names.map((name, index) => {
      const colour = PREFIX_COLOURS[index % PREFIX_COLOURS.length] ?? 0;
      const text = `${name.padEnd(width)} |`;
      return [name, hasColour ? `\u001b[${colour}m${text}\u001b[0m` : text];
    }),
  );
  // `npm start | head` must not take the cluster down with it.
  process.stdout.on("error", () => undefined);
  return {
    hasColour,
    nodeLine: (name, text) => void process.stdout.write(`${prefixes.get(name) ?? name} ${text}\n`),
    say: (text) => void process.stdout.write(`${text}\n`),
  };
}
