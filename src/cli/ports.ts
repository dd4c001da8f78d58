// The ports that a local cluster had last time, kept in its state folder: kubeconfigs that were copied stay right, and proxies that
// outlived a killed `weir up` find the next one where they look for it.
import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isObject } from "../lib/json.ts";

export interface Ports {
  readonly api?: number;
  readonly xds?: number;
}

const FILE = "ports.json";

/** What the folder remembers; nothing when the file is absent or damaged: it only spares a search. */
export async function readPorts(stateDir: string): Promise<Ports> {
  try {
    const found: unknown = JSON.parse(await readFile(join(stateDir, FILE), "utf8"));
    if (!isObject(found)) return {};
    return {
      ...(isPort(found.api) && { api: found.api }),
      ...(isPort(found.xds) && { xds: found.xds }),
    };
  } catch {
    return {};
  }
}

/** Remembers the ports. */
export async function writePorts(stateDir: string, ports: Ports): Promise<void> {
  const file = join(stateDir, FILE);
  await writeFile(`${file}.new`, `${JSON.stringify(ports)}\n`);
  await rename(`${file}.new`, file);
}

function isPort(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) > 0 && Number(value) <= 65_535;
}
