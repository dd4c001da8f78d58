// Custom resource definitions for the test bed: weir's own from deploy/crds, the Gateway API's from its Go module.
import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { parseAllDocuments } from "yaml";
import { CLUSTER_ERRORS, type ClusterClient } from "../../src/cluster/client.ts";
import { isWeirError } from "../../src/lib/errors.ts";
import { isObject } from "../../src/lib/json.ts";
import { findTool } from "./require.ts";

type Definition = Readonly<Record<string, unknown>>;

const OWN_FOLDER = new URL("../../deploy/crds/", import.meta.url).pathname;
const GATEWAY_API_MODULE = new URL("../testbed/gatewayapi/", import.meta.url).pathname;
/** The kinds that weir reads; each CRD more costs the API server time at every start. */
const GATEWAY_API_FILES = ["gatewayclasses", "gateways", "httproutes"];
const COLLECTION = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const ESTABLISH_TIMEOUT_MS = 30_000;

/** weir's own definitions. */
export async function readOwnCrds(): Promise<Definition[]> {
  const files = (await readdir(OWN_FOLDER)).filter((file) => /\.ya?ml$/.test(file)).sort();
  return readDefinitions(files.map((file) => join(OWN_FOLDER, file)));
}

/** The Gateway API's standard channel; a text says why it cannot be had. */
export async function readGatewayApiCrds(): Promise<Definition[] | string> {
  const go = await findTool("go");
  if (go === undefined) return "go is not installed (the Gateway API's CRDs come from its Go module)";
  // The download fills the module cache even where it then complains that the module asks for a newer Go.
  await runGo(go, ["mod", "download", "-json", "sigs.k8s.io/gateway-api"]);
  const folder = (await runGo(go, ["list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/gateway-api"])).trim();
  if (folder === "") return "the Go module sigs.k8s.io/gateway-api cannot be downloaded";
  const standard = join(folder, "config", "crd", "standard");
  return readDefinitions(
    GATEWAY_API_FILES.map((name) => join(standard, `gateway.networking.k8s.io_${name}.yaml`)),
  );
}

/** Creates the definitions and waits until the API server serves their kinds. */
export async function installCrds(client: ClusterClient, definitions: readonly Definition[]): Promise<void> {
  await Promise.all(
    definitions.map((body) =>
      client.request("POST", COLLECTION, { body }).catch((error: unknown) => {
        if (!isWeirError(error, CLUSTER_ERRORS.alreadyExists)) throw error;
      }),
    ),
  );
  const deadlineMs = Date.now() + ESTABLISH_TIMEOUT_MS;
  for (const definition of definitions) {
    while (!(await isServed(client, definition))) {
      if (Date.now() > deadlineMs) throw new Error(`the CRD ${nameOf(definition)} is not served`);
      await wait(50);
    }
  }
}

async function readDefinitions(files: readonly string[]): Promise<Definition[]> {
  const found: Definition[] = [];
  for (const file of files) {
    for (const document of parseAllDocuments(await readFile(file, "utf8"))) {
      const value: unknown = document.toJS();
      if (isObject(value) && value.kind === "CustomResourceDefinition") found.push(value);
    }
  }
  return found;
}

/** Established is not enough: the path answers a moment later. */
async function isServed(client: ClusterClient, definition: Definition): Promise<boolean> {
  const spec = isObject(definition.spec) ? definition.spec : {};
  const names = isObject(spec.names) ? spec.names : {};
  const versions: readonly unknown[] = Array.isArray(spec.versions) ? spec.versions : [];
  const served = versions.find((version) => isObject(version) && version.served === true);
  const version = isObject(served) ? String(served.name) : "";
  try {
    await client.request("GET", `/apis/${String(spec.group)}/${version}/${String(names.plural)}?limit=1`);
    return true;
  } catch (error) {
    if (isWeirError(error, CLUSTER_ERRORS.notFound) || isWeirError(error, CLUSTER_ERRORS.unavailable))
      return false;
    throw error;
  }
}

function nameOf(definition: Definition): string {
  return isObject(definition.metadata) ? String(definition.metadata.name) : "";
}

function runGo(go: string, args: readonly string[]): Promise<string> {
  const options = {
    cwd: GATEWAY_API_MODULE,
    timeout: 100_000,
    env: { ...process.env, GOFLAGS: "-mod=readonly" },
  };
  return new Promise((resolve) => execFile(go, [...args], options, (_error, stdout) => resolve(stdout)));
}
