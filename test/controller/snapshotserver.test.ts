// The publisher's view of the xDS server: who counts as connected, and how often it is asked.
import { test } from "tap";
import { snapshotServer } from "../../src/controller/snapshotserver.ts";
import type { NodeChange, NodeView } from "../../src/xds/server.ts";

const aNode = (id: string, fields: Partial<NodeView> = {}): NodeView => ({
  id,
  group: "edge",
  connected: true,
  connectedSinceMs: 1,
  lastSeenMs: 2,
  userAgent: "weir",
  subscribedRoutes: ["r"],
  cameWithContent: false,
  acked: {},
  ackedSeq: 3,
  ...fields,
});

/** An xDS server with these nodes, that counts how often it is asked. */
function aServer(nodes: NodeView[]) {
  const listeners: ((change: NodeChange) => void)[] = [];
  const server = {
    asked: 0,
    setSnapshot: () => 4,
    removeGroup: () => undefined,
    nodes() {
      server.asked += 1;
      return nodes;
    },
    onChange(listener: (change: NodeChange) => void) {
      listeners.push(listener);
      return () => undefined;
    },
    tell: () => {
      for (const listener of listeners) listener({ kind: "ack", group: "edge", node: "a" });
    },
  };
  return server;
}

test("snapshot server: connected nodes, with what a verdict needs of them", async (t) => {
  const nack = { kind: "routes" as const, version: "v", message: "no such cluster", atMs: 5 };
  const xds = aServer([aNode("a", { nack, cameWithContent: true }), aNode("b", { connected: false })]);
  t.strictSame(snapshotServer(xds).nodes("edge"), [
    {
      id: "a",
      connectedSinceMs: 1,
      isFresh: false,
      routes: ["r"],
      ackedSequence: 3,
      nack: "no such cluster",
    },
  ]);
});

test("snapshot server: asks once a turn, and anew after a change and a publication", async (t) => {
  const nodes = [aNode("a")];
  const xds = aServer(nodes);
  const server = snapshotServer(xds);
  const seen: number[] = [];
  server.onChange((group) => seen.push(server.nodes(group).length));
  server.nodes("edge");
  server.nodes("edge");
  t.equal(xds.asked, 1);
  nodes.push(aNode("b"));
  xds.tell();
  t.strictSame(seen, [2], "a listener sees what has changed");
  server.setSnapshot("edge", { clusters: [], endpoints: [], listeners: [], routes: [] });
  server.nodes("edge");
  t.equal(xds.asked, 3);
  await Promise.resolve();
  nodes.pop();
  t.equal(server.nodes("edge").length, 1, "another turn");
});
