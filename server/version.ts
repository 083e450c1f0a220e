/** The version of this software, as package.json has it. */
import { readFileSync } from "node:fs";
import * as z from "zod";

const schema = z.object({ version: z.string() });

/** package.json stands one folder above the sources, and two above the compiled ones. */
export function readVersion(): string {
  for (const path of ["../package.json", "../../package.json"]) {
    try {
      const text = readFileSync(new URL(path, import.meta.url), "utf8");
      return schema.parse(JSON.parse(text)).version;
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
    }
  }
  return "unknown";
}
