/** What `raft-kv dev` can be told: the schema is the table of its options and their help. */
import * as z from "zod";
import { cluster, integer, text } from "../setting-types.ts";

export const devSchema = z.strictObject({
  nodes: integer(1, 9).optional().meta({
    title: "N",
    description: "How many nodes (also -n). Default: 3, or as many as the config file has.",
  }),
  config: text().optional().meta({
    title: "FILE",
    description: "A JSON file with options of dev and server; see `raft-kv server --help`.",
  }),
  cluster: cluster().optional().meta({
    title: "MEMBERS",
    description: "The members: ID=PEER/CLIENT,… Default: 127.0.0.1, ports 900N and 800N.",
  }),
  data: text()
    .default("data")
    .meta({ title: "DIR", description: "Holds a directory nodeN for each node." }),
});

export type DevOptions = z.output<typeof devSchema>;
