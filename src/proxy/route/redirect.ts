// Phase "answer": where a redirect leads. A port that is its scheme's own is left out; a request without any host is answered by a path.

import type { ClientFacts } from "../admit/forwarded.ts";
import type { Head } from "../http1/head.ts";
import { ByteStore } from "../wire/bytestore.ts";
import { writePath } from "./rewrite.ts";
import type { Location } from "./table.ts";

const DEFAULT_PORTS: Readonly<Record<string, number>> = { http: 80, https: 443 };

/** The value of the Location field for a request. */
export function locationOf(location: Location, head: Head, client: ClientFacts): string {
  const asked = client.isSecureFor(head) ? "https" : "http";
  const scheme = location.scheme === "" ? asked : location.scheme;
  const target = targetOf(location, head);
  const { bytes, base } = head;
  const authority = bytes.toString("latin1", base + head.authorityStart, base + head.authorityEnd);
  // A path that begins with two slashes, or what browsers take for them, would name a host.
  if (location.host === "" && authority === "") return target.replace(/^\/[/\\]+/, "/");
  const host = location.host === "" ? hostOf(authority, location, asked, scheme) : location.host;
  const isPortStated = location.port > 0 && location.port !== DEFAULT_PORTS[scheme];
  return `${scheme}://${host}${isPortStated ? `:${location.port}` : ""}${target}`;
}

/** The request's host; its port goes where another one is stated, and with a scheme of which it was the own port. */
function hostOf(authority: string, location: Location, asked: string, scheme: string): string {
  const colon = authority.lastIndexOf(":");
  if (colon <= authority.lastIndexOf("]")) return authority;
  const isOwnPort = scheme !== asked && Number(authority.slice(colon + 1)) === DEFAULT_PORTS[asked];
  return location.port > 0 || isOwnPort ? authority.slice(0, colon) : authority;
}

function targetOf({ path, isQueryKept }: Location, head: Head): string {
  const out = new ByteStore();
  const { bytes, base } = head;
  writePath(out, head, path);
  if (isQueryKept) out.append(bytes, base + head.pathEnd, base + head.targetEnd);
  return out.bytes.toString("latin1", out.start, out.end);
}
