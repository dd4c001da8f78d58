// Cluster of type STRICT_DNS → how its host names are looked up. Pure; problems are collected. Defaults are Envoy's.
import { type Cluster, Cluster_DnsLookupFamily, durationMs } from "../../xds/types.ts";
import type { LookupFamily } from "../name.ts";
import { MAX_REFRESH_MS, type NamedEndpoints } from "../names.ts";
import type { Problems } from "./problems.ts";

const DEFAULT_REFRESH_MS = 5_000;

/** Reads what a cluster says of lookups. */
export function compileNames(cluster: Cluster, problems: Problems): Omit<NamedEndpoints, "hosts"> {
  const refreshMs = durationMs(cluster.dnsRefreshRate) ?? DEFAULT_REFRESH_MS;
  if (refreshMs <= 1) problems.add("dns_refresh_rate", "must be above 1 ms");
  return {
    family: FAMILY[cluster.dnsLookupFamily] ?? "auto",
    refreshMs: Math.min(refreshMs, MAX_REFRESH_MS),
  };
}

/** Whether a text may be looked up. One whose last part is a number, in any spelling, is a mistyped address. */
export function isHostName(text: string): boolean {
  const isSpeltAsName = /^(?:\w(?:[\w-]{0,61}\w)?\.)*(?=[\w-]*[a-z_])\w(?:[\w-]{0,61}\w)?\.?$/i.test(text);
  return text.length <= 253 && isSpeltAsName && !/(?:^|\.)(?:0x[\da-f]*|\d+e\d+)\.?$/i.test(text);
}

const FAMILY: Readonly<Partial<Record<Cluster_DnsLookupFamily, LookupFamily>>> = {
  [Cluster_DnsLookupFamily.AUTO]: "auto",
  [Cluster_DnsLookupFamily.V4_ONLY]: "v4",
  [Cluster_DnsLookupFamily.V6_ONLY]: "v6",
  [Cluster_DnsLookupFamily.V4_PREFERRED]: "v4Preferred",
  [Cluster_DnsLookupFamily.ALL]: "all",
};
