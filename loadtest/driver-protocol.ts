/** What the measuring process and the one that sends the requests say to each other. */
import * as z from "zod";
import { scenarioSchema } from "./scenario.ts";

const jobBase = z.object({
  /** `host:port`. */
  address: z.string(),
  keyCount: z.number().int().min(1),
});

export const jobSchema = z.discriminatedUnion("kind", [
  /** Every key once, in order. */
  jobBase.extend({
    kind: z.literal("fill"),
    connections: z.number().int().min(1),
    valueBytes: z.number().int().min(0),
  }),
  jobBase.extend({
    kind: z.literal("load"),
    scenario: scenarioSchema,
    seconds: z.number().positive(),
    seed: z.number().int(),
  }),
]);
export type Job = Readonly<z.infer<typeof jobSchema>>;

export const driverResultSchema = z.object({
  requests: z.number(),
  seconds: z.number(),
  /** As `LatencyHistogram` counts. */
  latency: z.array(z.tuple([z.number(), z.number()])),
  errors: z.number(),
  non2xx: z.number(),
  /** What the errors were, counted by kind. */
  problems: z.array(z.string()),
  /** What sending and receiving cost on the side of the load. */
  driverCpuMicros: z.number(),
});
export type DriverResult = Readonly<z.infer<typeof driverResultSchema>>;
