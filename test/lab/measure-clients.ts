/**
 * What clients cost a server: each opens a session, then each puts once; the heap between. Run in a
 * process of its own, where the collector can be called.
 */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { z } from "zod";

const reportSchema = z.object({
  /** What a client's put adds to what its session costs already, as the lab measures it. */
  bytesPerClient: z.number(),
  bytesPerSession: z.number(),
});

export type ClientCost = z.infer<typeof reportSchema>;

let measured: ClientCost | undefined;

/** Measured once: nothing in it depends on a seed. */
export function measureClients(clients: number): ClientCost {
  measured ??= measure(clients);
  return measured;
}

function measure(clients: number): ClientCost {
  const script = fileURLToPath(new URL("client-heap.ts", import.meta.url));
  const flags = ["--expose-gc", "--import", import.meta.resolve("tsx")];
  const output = execFileSync(process.execPath, [...flags, script, `${clients}`], {
    encoding: "utf8",
  });
  return reportSchema.parse(JSON.parse(output));
}
