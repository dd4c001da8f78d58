// How a listener respells requests before it matches them: the section `normalization` of TrafficPolicies on Gateways. Everything is on by default, so
// that a rule on a path or host is not passed by another spelling of it. Pure.
import {
  HttpConnectionManager_PathWithEscapedSlashesAction as Action,
  type HttpConnectionManagerSchema,
  type MessageInitShape,
} from "../xds/types.ts";
import type { Report } from "./input.ts";
import type { Applied } from "./policies.ts";

const ACTIONS: Readonly<Record<string, Action>> = {
  reject: Action.REJECT_REQUEST,
  keep: Action.KEEP_UNCHANGED,
  unescape: Action.UNESCAPE_AND_FORWARD,
};

/** Settings of a connection manager. */
export function spellingOf({ sections, sources }: Applied, report: Report) {
  const wrong = (field: string, words: string): void =>
    report(sources.normalization ?? "", `spec.normalization.${field}`, `${words}; it is left out`);
  const asked = sections.normalization ?? {};
  const { escapedSlashes = "reject", pathParameters = "ignore", stripHostPort = "none" } = asked;
  const action = ACTIONS[escapedSlashes];
  if (action === undefined)
    wrong("escapedSlashes", `${JSON.stringify(escapedSlashes)} is not reject, keep or unescape`);
  if (!["ignore", "keep"].includes(pathParameters))
    wrong("pathParameters", `${JSON.stringify(pathParameters)} is not ignore or keep`);
  if (!["none", "matching", "any"].includes(stripHostPort))
    wrong("stripHostPort", `${JSON.stringify(stripHostPort)} is not none, matching or any`);
  return {
    normalizePath: asked.path ?? true,
    mergeSlashes: asked.mergeSlashes ?? true,
    pathWithEscapedSlashesAction: action ?? Action.REJECT_REQUEST,
    stripTrailingHostDot: asked.stripTrailingDot ?? true,
    ...(stripHostPort === "matching" && { stripMatchingHostPort: true }),
    ...(stripHostPort === "any" && {
      stripPortMode: { case: "stripAnyHostPort" as const, value: true },
    }),
  } satisfies MessageInitShape<typeof HttpConnectionManagerSchema>;
}

/** Whether rules on a path see it without its parameters (`;x`). */
export function areParametersIgnored({ sections }: Applied): boolean {
  return sections.normalization?.pathParameters !== "keep";
}
