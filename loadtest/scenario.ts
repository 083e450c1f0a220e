/** What a load is: who sends what to how many keys. Types and names only. */
import * as z from "zod";

export const MIXES = ["put", "get", "mixed"] as const;
export const KEY_CHOICES = ["uniform", "skewed"] as const;

export const scenarioSchema = z.object({
  /** "mixed" is nine reads to a write. */
  mix: z.enum(MIXES),
  connections: z.number().int().min(1),
  valueBytes: z.number().int().min(0),
  keys: z.enum(KEY_CHOICES),
});
export type Scenario = Readonly<z.infer<typeof scenarioSchema>>;
export type Mix = Scenario["mix"];

/** Small values, all keys alike, fifty connections: what the targets speak of. */
export const HEADLINE = { connections: 50, valueBytes: 3, keys: "uniform" } as const;

export function scenarioName({ mix, connections, valueBytes, keys }: Scenario): string {
  const bytes = valueBytes % 1024 === 0 ? `${valueBytes / 1024} KiB` : `${valueBytes} B`;
  return `${mix} c=${connections} ${bytes} ${keys}`;
}
