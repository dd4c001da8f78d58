// Whom a weight waits for: the members of a node group, and the verdict over what they have acknowledged. Pure.
// A member is a proxy that was connected and has not been gone for longer than the grace. Members are recorded outside the process
// (publish.ts writes them), so that a new leader waits for the proxies that its predecessor knew.
import type { Acknowledgement, SilentNode } from "../api/api.ts";

/** How long a proxy whose stream has closed goes on counting: it may still route by what it last had. */
export const NODE_GRACE_MS = 30_000;

export interface Member {
  readonly id: string;
  /** When it connected first, as far as is known. */
  readonly joinedMs: number;
  /** When its stream closed, or when this leader began to wait for it; absent while connected. */
  readonly goneSinceMs?: number;
  /** The newest publication that it had in force when last heard of; absent: none known. It is not recorded. */
  readonly ackedSequence?: number;
}

/** What the xDS server knows of a connected proxy. */
export interface NodeState {
  readonly id: string;
  readonly connectedSinceMs: number;
  /** It came without any content, so that nothing older can be in force in it. */
  readonly isFresh: boolean;
  /** The newest publication whose content it has in force; 0 when none of this process's. */
  readonly ackedSequence: number;
  /** Names of the route configurations that it takes. */
  readonly routes: readonly string[];
  /** Its words, when it refused the newest content it answered to. */
  readonly nack?: string;
}

/** What waits for acknowledgement in one group. */
export interface GroupState {
  readonly group: string;
  readonly members: readonly Member[];
  readonly nodes: readonly NodeState[];
  /** The route configurations that carry it. */
  readonly routes: readonly string[];
  /** The publication that first carried the intent. */
  readonly sequence: number;
  readonly publishedAtMs: number;
  /** Whether the members are written down, so that a successor would wait for them too. */
  readonly isRecorded: boolean;
}

export interface MembershipChange {
  readonly members: readonly Member[];
  /** Whether the set of identities changed, so that it has to be recorded again. */
  readonly hasChanged: boolean;
  /** When the next member's grace ends. */
  readonly nextExpiryMs?: number;
}

/** Brings a group's members up to what is connected now. Who takes no routes, and never had any, is none. */
export function updateMembers(
  members: readonly Member[],
  connected: readonly NodeState[],
  nowMs: number,
  graceMs: number = NODE_GRACE_MS,
): MembershipChange {
  const byId = new Map(members.map((member) => [member.id, member]));
  const next: Member[] = connected
    .filter((node) => byId.has(node.id) || node.routes.length > 0 || !node.isFresh)
    .map((node) => ({
      id: node.id,
      joinedMs: byId.get(node.id)?.joinedMs ?? node.connectedSinceMs,
      ...(node.ackedSequence > 0 && { ackedSequence: node.ackedSequence }),
    }));
  const present = new Set(next.map((member) => member.id));
  let nextExpiryMs: number | undefined;
  for (const member of members) {
    if (present.has(member.id)) continue;
    const goneSinceMs = member.goneSinceMs ?? nowMs;
    if (nowMs - goneSinceMs >= graceMs) continue;
    next.push({ ...member, goneSinceMs });
    nextExpiryMs = Math.min(nextExpiryMs ?? Number.POSITIVE_INFINITY, goneSinceMs + graceMs);
  }
  next.sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
  const hasChanged = next.length !== members.length || next.some((member) => !byId.has(member.id));
  return { members: next, hasChanged, ...(nextExpiryMs !== undefined && { nextExpiryMs }) };
}

/** Whether every proxy that must carry the intent has it in force. `isOptional`: none has to. */
export function acknowledgementOf(
  groups: readonly GroupState[],
  sinceMs: number,
  isOptional = false,
): Acknowledgement {
  const silent: SilentNode[] = [];
  let inForce = 0;
  for (const group of groups) {
    const nodes = new Map(group.nodes.map((node) => [node.id, node]));
    for (const member of group.members) {
      const node = nodes.get(member.id);
      // What a proxy had in force when its stream closed, it goes on routing by.
      if (node === undefined && (member.ackedSequence ?? 0) >= group.sequence) continue;
      if (node !== undefined && isElsewhere(node, group.routes)) continue;
      if (node !== undefined && node.ackedSequence >= group.sequence) {
        inForce += 1;
        continue;
      }
      // A new proxy that came after the publication is given the newest content first: it holds nothing older.
      if (node?.isFresh && node.nack === undefined && member.joinedMs > group.publishedAtMs) continue;
      const hasRefused = node?.nack !== undefined;
      silent.push({ node: member.id, why: whySilent(member, node), ...(hasRefused && { hasRefused }) });
    }
    if (!group.isRecorded)
      silent.push({ node: group.group, why: "the list of connected proxies is not recorded yet" });
  }
  if (silent.length > 0) return { kind: "no", nodes: silent, sinceMs };
  if (inForce > 0) return { kind: "yes" };
  if (isOptional) return { kind: "notApplicable" };
  const why =
    groups.length === 0 ? "no Gateway of class weir routes to the stable service" : "no proxy connected";
  return {
    kind: "no",
    nodes: [{ node: groups.map((group) => group.group).join(", ") || "-", why }],
    sinceMs,
  };
}

/** It takes other routes only. One that has come back with content and has not said yet what it takes may be following these. */
function isElsewhere(node: NodeState, routes: readonly string[]): boolean {
  const takesNone = !routes.some((name) => node.routes.includes(name));
  return takesNone && (node.isFresh || node.routes.length > 0);
}

function whySilent(member: Member, node: NodeState | undefined): string {
  if (node === undefined) return "not connected; it counts until its grace has passed";
  if (node.nack !== undefined) return `refused: ${node.nack}`;
  return member.goneSinceMs === undefined ? "has not acknowledged yet" : "reconnecting";
}
