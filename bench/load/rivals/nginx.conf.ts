// nginx as a proxy with the same work as weir (in the bare column two versions 90/10, keep-alive on both sides, X-Forwarded-For; with
// everything on, what it has of the rest), and as the origin behind all of them.
import { HOSTS, PATHS, type Versions } from "./bootstrap.ts";

export interface NginxOptions {
  readonly folder: string;
  readonly port: number;
  readonly versions: Versions;
}

/** Buffers for large bodies; the defaults are 4 and 8 KiB. */
const TUNED = `
      proxy_buffer_size 64k; proxy_buffers 16 64k; proxy_busy_buffers_size 128k; proxy_max_temp_file_size 0;
      client_body_buffer_size 64k;`;

const FORWARD = `
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_request_buffering off;`;

export function nginxProxyConfig({ folder, port, versions }: NginxOptions, isTuned = false): string {
  return `${head(folder, "proxy")}
  access_log off;
  ${pool("versions", [`127.0.0.1:${versions.v1} weight=90`, `127.0.0.1:${versions.v2} weight=10`])}
  server {
    listen 127.0.0.1:${port} backlog=1024;
    location / {
      proxy_pass http://versions;${FORWARD}${isTuned ? TUNED : ""}
    }
  }
}
`;
}

/** 50 locations over 5 servers, a rule on a header, retries, timeouts, passive health checks, request ids, a log written in blocks. */
export function nginxFullConfig({ folder, port, versions }: NginxOptions, log: string): string {
  const guards = "max_fails=5 fail_timeout=30s";
  const action = `
      proxy_pass http://$pool;${FORWARD}
      proxy_set_header X-Request-ID $request_id;
      proxy_connect_timeout 5s; proxy_read_timeout 15s;
      proxy_next_upstream error timeout http_503; proxy_next_upstream_tries 3;`;
  const servers = HOSTS.map(
    (host) => `
  server {
    listen 127.0.0.1:${port}${host === HOSTS[0] ? " backlog=1024" : ""};
    server_name ${host};
    client_header_timeout 10s;
    ${[...PATHS, "/"].map((path) => `location ${path} {${action}\n    }`).join("\n    ")}
  }`,
  );
  return `${head(folder, "proxy")}
  log_format full '[$time_iso8601] "$request_method $request_uri $server_protocol" $status $request_length $body_bytes_sent '
    '$request_time $upstream_response_time "$http_x_forwarded_for" "$http_user_agent" "$request_id" "$http_host" "$upstream_addr"';
  access_log ${log} full buffer=64k flush=1s;
  map $http_x_version $pool { default versions; v2 canary; }
  ${pool("versions", [`127.0.0.1:${versions.v1} weight=90 ${guards}`, `127.0.0.1:${versions.v2} weight=10 ${guards}`])}
  ${pool("canary", [`127.0.0.1:${versions.v2} ${guards}`])}${servers.join("")}
}
`;
}

/** Answers 128 bytes on all these ports, files under /files, 503 under /down; /upload answers when it has read the body. */
export function nginxOriginConfig(folder: string, ports: readonly number[]): string {
  return `${head(folder, "origin")}
  access_log off;
  ${pool("itself", [`127.0.0.1:${ports[0]}`])}
  server {
    ${ports.map((port) => `listen 127.0.0.1:${port} backlog=4096;`).join(" ")}
    client_max_body_size 16m; client_body_buffer_size 256k;
    location / { return 200 "${"x".repeat(128)}"; }
    location /files { root ${folder}; sendfile on; }
    location /down { return 503 "down"; }
    location /status { stub_status; }
    location /upload {
      proxy_pass http://itself/;
      proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_pass_request_body off; proxy_set_header Content-Length "";
    }
  }
}
`;
}

function head(folder: string, name: string): string {
  const temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((kind) => `  ${kind}_temp_path ${folder}/${name}-${kind};`)
    .join("\n");
  return `worker_processes 1; worker_rlimit_nofile 16384; daemon off; pid ${folder}/${name}.pid; error_log ${folder}/${name}.err;
events { worker_connections 12000; }
http {
${temp}
  keepalive_requests 1000000000; keepalive_timeout 600s;`;
}

function pool(name: string, servers: readonly string[]): string {
  const lines = servers.map((server) => `server ${server};`).join(" ");
  return `upstream ${name} { ${lines} keepalive 1024; keepalive_requests 1000000000; keepalive_timeout 600s; }`;
}
