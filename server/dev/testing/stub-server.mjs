// Stands in for a server in the supervisor's tests: answers /v1/status, stops on SIGTERM. It reads
// `--data DIR/mode` for how to misbehave: "die" at the start, or "stubborn" about SIGTERM.
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";

const args = process.argv.slice(2);
const flag = (name) => args[args.indexOf(name) + 1] ?? "";
const id = Number(flag("--id"));
const [host, port] = flag("--listen").split(":");
const modePath = `${flag("--data")}/mode`;
const mode = existsSync(modePath) ? readFileSync(modePath, "utf8") : "";

if (mode === "die") {
  console.error("could not start");
  process.exit(3);
}
const server = createServer((_request, response) => {
  const status = { nodeId: id, role: id === 1 ? "leader" : "follower", term: 7, pid: process.pid };
  response.end(JSON.stringify(status));
});
server.listen(Number(port), host, () => console.log(`stub ${id} serves ${args.join(" ")}`));
process.on("SIGTERM", () => {
  console.log("asked to stop");
  if (mode !== "stubborn") process.exit(0);
});
process.once("disconnect", () => process.exit(0));
