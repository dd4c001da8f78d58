// HAProxy with the same work as weir: in the bare column two versions 90/10, keep-alive on both sides, X-Forwarded-For; with everything on,
// what it has of the rest. Its log goes to standard output (the file that the bench makes of it), since it writes to no file by itself.
import { HOSTS, PATHS, type Versions } from "./bootstrap.ts";

export function haproxyConfig(port: number, { v1, v2 }: Versions): string {
  return `global
  nbthread 1
  maxconn 8192
defaults
  mode http
  option http-keep-alive
  option forwardfor
  http-reuse always
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend in
  bind 127.0.0.1:${port}
  default_backend out
backend out
  balance random(1)
  server a 127.0.0.1:${v1} weight 90
  server b 127.0.0.1:${v2} weight 10
`;
}

/** Hosts and paths are found in a map, retries are on 503 and lost connections, servers are ejected by what they answer. */
export function haproxyFullConfig(port: number, { v1, v2 }: Versions, mapFile: string): string {
  const guards = "check inter 10s observe layer7 error-limit 5 on-error mark-down";
  return `global
  nbthread 1
  maxconn 8192
  expose-experimental-directives
  log stdout format raw local0
defaults
  mode http
  log global
  option httplog
  option http-keep-alive
  option forwardfor
  option redispatch
  http-reuse always
  retries 2
  retry-on conn-failure empty-response response-timeout 503
  timeout connect 5s
  timeout client 300s
  timeout http-request 10s
  timeout server 15s
  unique-id-format %[uuid()]
  unique-id-header X-Request-ID
frontend in
  bind 127.0.0.1:${port}
  http-request normalize-uri path-strip-dotdot
  http-request normalize-uri path-merge-slashes
  use_backend canary if { req.hdr(x-version) -m str v2 }
  use_backend %[base,map_beg(${mapFile})]
backend versions
  balance random(1)
  server a 127.0.0.1:${v1} weight 90 ${guards}
  server b 127.0.0.1:${v2} weight 10 ${guards}
backend canary
  server b 127.0.0.1:${v2} ${guards}
`;
}

/** Which backend each host and path goes to. */
export function haproxyMap(): string {
  return HOSTS.flatMap((host) => [...PATHS, "/"].map((path) => `${host}${path} versions\n`)).join("");
}
