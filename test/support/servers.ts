// nginx and HAProxy as servers behind a proxy under test: each passes what it reads on to an origin of the test, which tells what it was.

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Test } from "tap";
import { freePort } from "./ports.ts";
import { requireTool } from "./require.ts";

export type ServerName = "nginx" | "haproxy";

const START_MS = 10_000;

/** Starts it in front of the origin on that port of 127.0.0.1; undefined: it is not installed, and the test was told so. */
export async function startServer(
  t: Test,
  name: ServerName,
  originPort: number,
): Promise<number | undefined> {
  const program = await requireTool(t, name);
  if (program === undefined) return undefined;
  const folder = await mkdtemp(join(tmpdir(), `weir-${name}-`));
  const port = await freePort();
  const file = join(folder, "conf");
  await writeFile(
    file,
    name === "nginx" ? nginxConf(folder, port, originPort) : haproxyConf(port, originPort),
  );
  const flags =
    name === "nginx" ? ["-p", folder, "-c", file, "-e", join(folder, "error.log")] : ["-db", "-f", file];
  const child = spawn(program, flags, { stdio: "ignore" });
  t.teardown(async () => {
    await ended(child);
    await rm(folder, { recursive: true, force: true });
  });
  await listening(port, child);
  return port;
}

function nginxConf(folder: string, port: number, originPort: number): string {
  const temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (kind) => `${kind}_temp_path ${folder}/${kind};`,
  );
  return `
daemon off; master_process off; pid ${folder}/pid; worker_processes 1;
events { worker_connections 512; }
http {
  access_log off; keepalive_requests 100000; ${temp.join(" ")}
  upstream origin { server 127.0.0.1:${originPort}; keepalive 8; }
  server {
    listen 127.0.0.1:${port};
    location / { proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host; }
  }
}
`;
}

function haproxyConf(port: number, originPort: number): string {
  return `
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend f
  bind 127.0.0.1:${port}
  default_backend b
backend b
  http-reuse safe
  server origin 127.0.0.1:${originPort}
`;
}

async function listening(port: number, child: ChildProcess): Promise<void> {
  const giveUpMs = Date.now() + START_MS;
  for (;;) {
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1");
      socket.once("connect", () => {
        socket.destroy();
        resolve(true);
      });
      socket.once("error", () => resolve(false));
    });
    if (isOpen) return;
    if (child.exitCode !== null || Date.now() > giveUpMs)
      throw new Error(`${child.spawnfile} does not listen on ${port}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await exit;
}
