// Whom a weight waits for, and what counts as acknowledged.
import { test } from "tap";
import {
  acknowledgementOf,
  type GroupState,
  type NodeState,
  updateMembers,
} from "../../src/controller/nodes.ts";

const node = (id: string, changes: Partial<NodeState> = {}): NodeState => ({
  id,
  connectedSinceMs: 1_000,
  isFresh: true,
  routes: ["shop/edge:8000"],
  ackedSequence: 0,
  ...changes,
});
const group = (changes: Partial<GroupState> = {}): GroupState => ({
  group: "gateway/shop/edge",
  members: [
    { id: "a", joinedMs: 1_000 },
    { id: "b", joinedMs: 1_000 },
  ],
  nodes: [node("a", { ackedSequence: 3 }), node("b", { ackedSequence: 3 })],
  routes: ["shop/edge:8000"],
  sequence: 3,
  publishedAtMs: 2_000,
  isRecorded: true,
  ...changes,
});
const silent = (groups: readonly GroupState[]): unknown => {
  const verdict = acknowledgementOf(groups, 7);
  return verdict.kind === "no" ? verdict.nodes.map(({ node: id, why }) => `${id}: ${why}`) : verdict.kind;
};

test("nodes: acknowledged when every member has the publication or a later one in force", async (t) => {
  t.equal(silent([group()]), "yes");
  t.equal(
    silent([group({ nodes: [node("a", { ackedSequence: 9 }), node("b", { ackedSequence: 3 })] })]),
    "yes",
  );
  t.strictSame(
    silent([group({ nodes: [node("a", { ackedSequence: 3 }), node("b", { ackedSequence: 2 })] })]),
    ["b: has not acknowledged yet"],
  );
});

test("nodes: what no proxy has to carry waits for those that do", async (t) => {
  const verdict = (groups: readonly GroupState[]): string => acknowledgementOf(groups, 7, true).kind;
  t.equal(verdict([]), "notApplicable", "no Gateway leads to it");
  t.equal(verdict([group({ members: [], nodes: [] })]), "notApplicable", "no proxy is connected");
  t.equal(verdict([group()]), "yes");
  const slow = [node("a", { ackedSequence: 3 }), node("b", { ackedSequence: 2 })];
  t.equal(verdict([group({ nodes: slow })]), "no");
});

test("nodes: a refusal is given in the proxy's words", async (t) => {
  const nodes = [node("a", { ackedSequence: 3 }), node("b", { ackedSequence: 2, nack: "unknown cluster x" })];
  t.strictSame(silent([group({ nodes })]), ["b: refused: unknown cluster x"]);
});

test("nodes: a member that is gone counts until its grace has passed", async (t) => {
  const gone = group({ nodes: [node("a", { ackedSequence: 3 })] });
  t.strictSame(silent([gone]), ["b: not connected; it counts until its grace has passed"]);
  const at = (nowMs: number) => updateMembers(gone.members, gone.nodes, nowMs, 30_000);
  t.strictSame(at(5_000).members.at(1), { id: "b", joinedMs: 1_000, goneSinceMs: 5_000 });
  t.equal(at(5_000).nextExpiryMs, 35_000);
  t.equal(at(5_000).hasChanged, false, "going is no change of membership, forgetting is");
  const later = updateMembers(at(5_000).members, gone.nodes, 35_000, 30_000);
  t.strictSame(
    later.members.map((member) => member.id),
    ["a"],
  );
  t.equal(later.hasChanged, true);
});

test("nodes: a member that comes back keeps the time at which it joined", async (t) => {
  const away = [{ id: "a", joinedMs: 500, goneSinceMs: 4_000 }];
  const change = updateMembers(away, [node("a", { connectedSinceMs: 6_000 })], 6_000);
  t.strictSame(change, { members: [{ id: "a", joinedMs: 500 }], hasChanged: false });
});

test("nodes: a new proxy that joins after the publication is not waited for, one with older content is", async (t) => {
  const joined = (isFresh: boolean): GroupState =>
    group({
      members: [
        { id: "a", joinedMs: 1_000 },
        { id: "c", joinedMs: 2_500 },
      ],
      nodes: [node("a", { ackedSequence: 3 }), node("c", { connectedSinceMs: 2_500, isFresh })],
    });
  t.equal(silent([joined(true)]), "yes");
  t.strictSame(silent([joined(false)]), ["c: has not acknowledged yet"]);
});

test("nodes: without any proxy, or any Gateway, nothing is acknowledged", async (t) => {
  t.strictSame(silent([group({ members: [], nodes: [] })]), ["gateway/shop/edge: no proxy connected"]);
  t.strictSame(silent([]), ["-: no Gateway of class weir routes to the stable service"]);
});

test("nodes: nothing is acknowledged before the members are written down", async (t) => {
  t.strictSame(silent([group({ isRecorded: false })]), [
    "gateway/shop/edge: the list of connected proxies is not recorded yet",
  ]);
});

test("nodes: who does not subscribe to the route is not waited for, unless it may still follow older routes", async (t) => {
  const asked = (changes: Partial<NodeState>): GroupState =>
    group({ nodes: [node("a", { ackedSequence: 3 }), node("b", changes)] });
  t.equal(silent([asked({ routes: ["shop/edge:9000"] })]), "yes", "another listener's routes only");
  t.equal(silent([asked({ routes: [] })]), "yes", "no routes, and none before");
  t.strictSame(silent([asked({ routes: [], isFresh: false })]), ["b: has not acknowledged yet"]);
  t.strictSame(
    silent([
      group({ nodes: [], members: [] }),
      group({ nodes: [node("a", { routes: [], ackedSequence: 9 })] }),
    ]),
    ["b: not connected; it counts until its grace has passed"],
    "what is in force in such a one counts for nothing",
  );
});

test("nodes: a client that asks for no routes is no member", async (t) => {
  const watcher = node("watcher", { routes: [] });
  t.strictSame(updateMembers([], [watcher], 5_000), { members: [], hasChanged: false });
  const back = node("back", { routes: [], isFresh: false });
  t.strictSame(updateMembers([], [back], 5_000).members, [{ id: "back", joinedMs: 1_000 }]);
});

test("nodes: what a proxy had in force when its stream closed counts, but not as a connected proxy", async (t) => {
  const before = updateMembers([], [node("a", { ackedSequence: 3 }), node("b", { ackedSequence: 3 })], 5_000);
  const { members } = updateMembers(before.members, [node("a", { ackedSequence: 3 })], 6_000);
  t.match(members[1], { id: "b", goneSinceMs: 6_000, ackedSequence: 3 });
  const nodes = [node("a", { ackedSequence: 4 })];
  t.equal(silent([group({ members, nodes })]), "yes");
  t.strictSame(silent([group({ members, nodes, sequence: 4 })]), [
    "b: not connected; it counts until its grace has passed",
  ]);
  const none = updateMembers(members, [], 7_000).members;
  t.strictSame(silent([group({ members: none, nodes: [] })]), ["gateway/shop/edge: no proxy connected"]);
});
