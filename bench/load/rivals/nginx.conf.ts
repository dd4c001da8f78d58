// nginx as a proxy with the same work as weir in the bare column, and as the origin behind all of them.
const temp = (folder: string): string =>
  ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((name) => `  ${name}_temp_path ${folder}/${name};`)
    .join("\n");

/** Two versions 90/10, keep-alive on both sides, X-Forwarded-For. */
export function nginxProxyConfig(folder: string, port: number, origin: number): string {
  return `worker_processes 1; daemon off; pid ${folder}/proxy.pid; error_log ${folder}/proxy.err;
events { worker_connections 8192; }
http {
${temp(folder)}
  access_log off;
  keepalive_requests 1000000000;
  upstream versions {
    server 127.0.0.1:${origin} weight=90;
    server 127.0.0.1:${origin + 1} weight=10;
    keepalive 1024;
    keepalive_requests 1000000000;
  }
  server {
    listen 127.0.0.1:${port} backlog=1024;
    location / {
      proxy_pass http://versions;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_request_buffering off;
    }
  }
}
`;
}

/** Answers 128 bytes on two ports, and files under /files. */
export function nginxOriginConfig(folder: string, origin: number): string {
  return `worker_processes 1; daemon off; pid ${folder}/origin.pid; error_log ${folder}/origin.err;
events { worker_connections 8192; }
http {
${temp(folder)}
  access_log off;
  keepalive_requests 1000000000;
  server {
    listen 127.0.0.1:${origin} backlog=1024;
    listen 127.0.0.1:${origin + 1} backlog=1024;
    location / { return 200 "${"x".repeat(128)}"; }
  }
}
`;
}
