// The xDS server as the publisher sees it: connected nodes only, changes by group. What one turn of the event loop learns of a group it learns
// once: a Gateway with hundreds of Rollouts asks for each of them.
import type { NodeView, XdsServer } from "../xds/server.ts";
import type { NodeState } from "./nodes.ts";
import type { SnapshotServer } from "./publish.ts";

/** Wraps `xds`. */
export function snapshotServer(
  xds: Pick<XdsServer, "setSnapshot" | "removeGroup" | "nodes" | "onChange">,
): SnapshotServer {
  const seen = new Map<string, readonly NodeState[]>();
  return {
    setSnapshot(group, snapshot) {
      seen.delete(group);
      return xds.setSnapshot(group, snapshot);
    },
    removeGroup: (group) => xds.removeGroup(group),
    nodes(group) {
      const known = seen.get(group);
      if (known !== undefined) return known;
      const nodes = xds
        .nodes(group)
        .filter((node) => node.connected)
        .map(stateOf);
      if (seen.size === 0) queueMicrotask(() => seen.clear());
      seen.set(group, nodes);
      return nodes;
    },
    onChange: (listener) =>
      xds.onChange(({ group }) => {
        seen.delete(group);
        listener(group);
      }),
  };
}

function stateOf(node: NodeView): NodeState {
  return {
    id: node.id,
    connectedSinceMs: node.connectedSinceMs,
    isFresh: !node.cameWithContent,
    routes: node.subscribedRoutes,
    ackedSequence: node.ackedSeq,
    ...(node.nack !== undefined && { nack: node.nack.message }),
  };
}
