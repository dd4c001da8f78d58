// Kubeconfigs in kubectl's order, and the errors that a user sees: over the embedded server's https listener.
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Test, test } from "tap";
import { stringify } from "yaml";
import { RESOURCES } from "../../src/api/api.ts";
import {
  CLUSTER_ERRORS,
  type ClusterConnection,
  type ConnectOptions,
  connectCluster,
} from "../../src/cluster/client.ts";
import { createEmbeddedServer, type EmbeddedServer } from "../../src/embedded/embedded.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { isWeirError, type WeirError } from "../../src/lib/errors.ts";
import { silentLogger } from "../../src/lib/log.ts";

interface Scene {
  readonly folder: string;
  readonly server: EmbeddedServer;
  readonly url: string;
  /** Writes a kubeconfig of one cluster, user and context, all named `name`, and returns its path. */
  config(name: string, change?: Changes): Promise<string>;
  connect(options: ConnectOptions): Promise<ClusterConnection>;
}

interface Changes {
  readonly cluster?: Readonly<Record<string, unknown>>;
  readonly user?: Readonly<Record<string, unknown>>;
  readonly namespace?: string;
}

async function aScene(t: Test): Promise<Scene> {
  const folder = await mkdtemp(join(tmpdir(), "weir-connect-"));
  const server = await createEmbeddedServer({ stateDir: ":memory:", clock: systemClock, log: silentLogger });
  const listener = await server.listen({ port: 0 });
  const url = `https://127.0.0.1:${listener.port}`;
  t.teardown(async () => {
    await server.close();
    await rm(folder, { recursive: true });
  });
  return {
    folder,
    server,
    url,
    async config(name, { cluster, user, namespace } = {}) {
      const path = join(folder, `${name}.yaml`);
      const ca = Buffer.from(server.certificate).toString("base64");
      const text = stringify({
        apiVersion: "v1",
        kind: "Config",
        "current-context": name,
        clusters: [{ name, cluster: { server: url, "certificate-authority-data": ca, ...cluster } }],
        users: [{ name, user: user ?? { token: server.token } }],
        contexts: [
          { name, context: { cluster: name, user: name, ...(namespace === undefined ? {} : { namespace }) } },
        ],
      });
      await writeFile(path, text);
      return path;
    },
    async connect(options) {
      const connection = await connectCluster(options);
      t.teardown(() => connection.close());
      return connection;
    },
  };
}

const look = ({ client }: ClusterConnection): Promise<unknown> =>
  client.get(RESOURCES.namespace, { name: "default" });

async function failure(promise: Promise<unknown>): Promise<WeirError> {
  try {
    await promise;
  } catch (error) {
    if (isWeirError(error)) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

test("connect: a kubeconfig that is named wins, and its context gives server and namespace", async (t) => {
  const { config, connect, url } = await aScene(t);
  const one = await config("one", { namespace: "shop" });
  const connection = await connect({ kubeconfig: one, env: { KUBECONFIG: "/nowhere" } });
  t.match(connection, { server: url, namespace: "shop", context: "one" });
  t.match(await look(connection), { kind: "Namespace", metadata: { name: "default" } });
});

test("connect: KUBECONFIG is a list that is merged, the first to say something wins", async (t) => {
  const { config, connect, folder } = await aScene(t);
  const files = [join(folder, "missing.yaml"), await config("one"), await config("two", { namespace: "b" })];
  const env = { KUBECONFIG: files.join(":") };
  t.match(await connect({ env }), { context: "one", namespace: "default" });
  const second = await connect({ env, context: "two" });
  t.equal(second.namespace, "b");
  t.match(await look(second), { kind: "Namespace" });
});

test("connect: without either, ~/.kube/config is read; paths in a file count from its folder", async (t) => {
  const { connect, folder, server, url } = await aScene(t);
  await mkdir(join(folder, ".kube", "pki"), { recursive: true });
  await writeFile(join(folder, ".kube", "pki", "ca.crt"), server.certificate);
  await writeFile(join(folder, ".kube", "pki", "token"), `${server.token}\n`);
  const text = stringify({
    "current-context": "c",
    clusters: [{ name: "c", cluster: { server: url, "certificate-authority": "pki/ca.crt" } }],
    users: [{ name: "c", user: { tokenFile: "pki/token" } }],
    contexts: [{ name: "c", context: { cluster: "c", user: "c" } }],
  });
  await writeFile(join(folder, ".kube", "config"), text);
  t.match(await look(await connect({ env: { HOME: folder } })), { kind: "Namespace" });
});

test("connect: inside a pod the service account is used", async (t) => {
  const { connect, folder, server, url } = await aScene(t);
  await writeFile(join(folder, "token"), server.token);
  await writeFile(join(folder, "ca.crt"), server.certificate);
  await writeFile(join(folder, "namespace"), "shop\n");
  const { hostname, port } = new URL(url);
  const env = { KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port };
  const connection = await connect({ env, serviceAccountFolder: folder });
  t.match(connection, { namespace: "shop", context: undefined, server: url });
  t.match(await look(connection), { kind: "Namespace" });
});

test("connect: an exec plugin is run for its token", async (t) => {
  const { config, connect, server, folder } = await aScene(t);
  const plugin = join(folder, "plugin");
  const credential = {
    apiVersion: "client.authentication.k8s.io/v1",
    kind: "ExecCredential",
    status: { token: server.token },
  };
  await writeFile(plugin, `#!/bin/sh\ncat <<'END'\n${JSON.stringify(credential)}\nEND\n`);
  await chmod(plugin, 0o700);
  const exec = { apiVersion: "client.authentication.k8s.io/v1", command: plugin, interactiveMode: "Never" };
  const file = await config("one", { user: { exec } });
  t.match(await look(await connect({ kubeconfig: file, env: {} })), { kind: "Namespace" });
});

test("connect: what a kubeconfig lacks is said with the names there are", async (t) => {
  const { config, folder } = await aScene(t);
  const one = await config("one");
  const message = async (options: ConnectOptions): Promise<string> => {
    const error = await failure(connectCluster(options));
    t.equal(error.code, CLUSTER_ERRORS.config);
    return error.message;
  };
  const missing = join(folder, "missing.yaml");
  t.equal(await message({ kubeconfig: missing, env: {} }), `there is no kubeconfig ${missing}`);
  t.equal(
    await message({ env: { KUBECONFIG: missing, HOME: folder } }),
    `none of the kubeconfig files exists: ${missing}`,
    "a list that leads nowhere is not passed over",
  );
  t.equal(
    await message({ kubeconfig: one, context: "two", env: {} }),
    `no context "two" in ${one}; there are: one`,
  );
  t.match(await message({ env: { HOME: folder } }), /^no cluster is named: give --kubeconfig FILE/);
  const broken = join(folder, "broken.yaml");
  await writeFile(broken, "a: [");
  t.match(await message({ kubeconfig: broken, env: {} }), /broken\.yaml is no YAML: .* at line 1/s);
  const proxied = await config("proxied", { cluster: { "proxy-url": "http://127.0.0.1:1" } });
  t.match(await message({ kubeconfig: proxied, env: {} }), /sets proxy-url, which weir does not carry out/);
});

test("connect: a refused connection, a wrong token and a wrong authority are told apart", async (t) => {
  const { config, connect, server, url } = await aScene(t);
  const asked = async (name: string, changes: Changes): Promise<WeirError> =>
    failure(look(await connect({ kubeconfig: await config(name, changes), env: {} })));
  const token = await asked("token", { user: { token: "wrong" } });
  t.equal(token.code, CLUSTER_ERRORS.forbidden);
  t.match(token.message, /did not accept the kubeconfig's credentials/);
  const other = await createEmbeddedServer({ stateDir: ":memory:", clock: systemClock, log: silentLogger });
  t.teardown(() => other.close());
  const foreign = Buffer.from(other.certificate).toString("base64");
  const authority = await asked("authority", { cluster: { "certificate-authority-data": foreign } });
  t.equal(authority.code, CLUSTER_ERRORS.untrusted);
  t.match(authority.message, new RegExp(`the certificate of ${url} is not trusted`));
  await server.close();
  const refused = await asked("refused", {});
  t.equal(refused.code, CLUSTER_ERRORS.unavailable);
  t.match(refused.message, `cannot reach ${url}: connection refused; is the server running?`);
});
