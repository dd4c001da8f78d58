// HTTP connection manager → how requests are respelt before anything is matched (normalise.ts). Pure. What is absent is off, as in Envoy.
import type { HttpConnectionManager } from "../../xds/types.ts";
import { HttpConnectionManager_PathWithEscapedSlashesAction as Action } from "../../xds/types.ts";
import { ESCAPED_SLASH, PORT_STRIP, type Spelling } from "../route/normalise.ts";
import type { Problems } from "./problems.ts";

/** Reads what concerns the spelling of paths and hosts. `at` is the path of the manager. */
export function compileSpelling(hcm: HttpConnectionManager, at: string, problems: Problems): Spelling {
  const isAny = hcm.stripPortMode.case === "stripAnyHostPort" && hcm.stripPortMode.value;
  if (isAny && hcm.stripMatchingHostPort)
    problems.add(`${at}.strip_any_host_port`, "cannot be set together with strip_matching_host_port");
  const portStrip = isAny ? PORT_STRIP.ANY : hcm.stripMatchingHostPort ? PORT_STRIP.OWN : PORT_STRIP.NONE;
  return {
    isPathNormal: hcm.normalizePath ?? false,
    isSlashMerged: hcm.mergeSlashes,
    escapedSlash: escapedSlashOf(hcm.pathWithEscapedSlashesAction),
    portStrip,
    isDotStripped: hcm.stripTrailingHostDot,
  };
}

function escapedSlashOf(action: Action): number {
  if (action === Action.REJECT_REQUEST) return ESCAPED_SLASH.REJECT;
  return action === Action.UNESCAPE_AND_FORWARD ? ESCAPED_SLASH.UNESCAPE : ESCAPED_SLASH.KEEP;
}
