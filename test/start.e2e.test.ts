import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { test } from "node:test";
import { type ClusterNode, withCluster } from "./cluster-process.ts";

const PORTS: readonly (readonly [string, (node: ClusterNode) => string])[] = [
  ["peer", ({ peerListen }) => peerListen],
  ["client", ({ client }) => client],
];

for (const [name, addressOf] of PORTS) {
  test(`a node whose ${name} port is taken says so and ends, instead of living on half`, async () => {
    await withCluster({ nodes: 3 }, async (cluster) => {
      await cluster.end(2, "SIGKILL");
      const [host = "", port = ""] = addressOf(cluster.node(2)).split(":");
      const squatter = createServer((socket) => socket.destroy());
      squatter.listen(Number(port), host);
      await once(squatter, "listening");
      try {
        const service = cluster.start(2);
        const { code } = await cluster.ends(2);
        assert.equal(code, 1, service.lastWords());
        assert.match(service.lastWords(), /EADDRINUSE/u);
      } finally {
        squatter.close();
      }
    });
  });
}
