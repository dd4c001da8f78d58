// HAProxy with the same work as weir in the bare column: two versions 90/10, keep-alive on both sides, X-Forwarded-For.
export function haproxyConfig(port: number, origin: number): string {
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
  server a 127.0.0.1:${origin} weight 90
  server b 127.0.0.1:${origin} weight 10
`;
}
