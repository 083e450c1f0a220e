/** Runs the seeds it is sent, one after another, until it is told to stop. */

import { simulate } from "./simulation.ts";
import { resultOf, type SoakJob } from "./soak-job.ts";

process.on("message", async (job: SoakJob) => {
  const startedUs = process.cpuUsage();
  const run = await simulate(job);
  const { user, system } = process.cpuUsage(startedUs);
  process.send?.(resultOf(run, (user + system) / 1000));
});
process.on("disconnect", () => process.exit(0));
