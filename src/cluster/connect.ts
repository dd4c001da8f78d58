// Finds the API server and the credentials in kubectl's order and builds the client: --kubeconfig, $KUBECONFIG, ~/.kube/config,
// then the service account of a pod. It never guesses a server, and sends nothing before the first request.
import { access } from "node:fs/promises";
import { delimiter, join } from "node:path";
import type { ClusterClient } from "./client.ts";
import {
  type ChosenContext,
  chooseContext,
  configError,
  isText,
  readKubeconfig,
  readPem,
} from "./kubeconfig.ts";
import { type ClusterClientOptions, createClusterClient } from "./rest.ts";
import { type Credentials, createSocketTransport, type Endpoint, tokenFileCredentials } from "./sockets.ts";

export interface ConnectOptions extends ClusterClientOptions {
  /** A file that must exist; wins over everything else. */
  readonly kubeconfig?: string;
  /** Default: the kubeconfig's current-context. */
  readonly context?: string;
  /** KUBECONFIG, HOME, and a pod's KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are read from it. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where a pod finds its service account. Default: Kubernetes' own path. */
  readonly serviceAccountFolder?: string;
}

export interface ClusterConnection {
  readonly client: ClusterClient;
  /** The server's address, for messages of commands that write. */
  readonly server: string;
  /** Of the context; `default` when it names none. */
  readonly namespace: string;
  /** Name of the kubeconfig's context; undefined inside a pod. */
  readonly context: string | undefined;
  /** Ends open requests and watches. */
  close(): Promise<void>;
}

const SERVICE_ACCOUNT_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount";

/** Connects. Throws `config` when there is no kubeconfig or it does not hold what it names. */
export async function connectCluster(options: ConnectOptions): Promise<ClusterConnection> {
  const target = await findTarget(options);
  const transport = await createSocketTransport(target.endpoint, target.credentials);
  return {
    client: createClusterClient(transport, options),
    server: target.endpoint.url,
    namespace: target.namespace,
    context: target.context,
    close: () => transport.close(),
  };
}

interface Target {
  readonly endpoint: Endpoint;
  readonly credentials: Credentials;
  readonly namespace: string;
  readonly context: string | undefined;
}

async function findTarget(options: ConnectOptions): Promise<Target> {
  const { env } = options;
  if (options.kubeconfig !== undefined) return fromFiles([options.kubeconfig], false, options.context);
  const listed = (env.KUBECONFIG ?? "").split(delimiter).filter((file) => file !== "");
  if (listed.length > 0) return fromFiles(listed, true, options.context);
  const own = env.HOME === undefined ? undefined : join(env.HOME, ".kube", "config");
  if (own !== undefined && (await exists(own))) return fromFiles([own], false, options.context);
  const inPod = await fromServiceAccount(options);
  if (inPod !== undefined) return inPod;
  throw configError(
    `no cluster is named: give --kubeconfig FILE, set KUBECONFIG, or create ${own ?? "~/.kube/config"}`,
  );
}

async function fromFiles(
  files: readonly string[],
  isListed: boolean,
  wanted: string | undefined,
): Promise<Target> {
  const config = await readKubeconfig(files, isListed);
  const chosen = chooseContext(config, wanted);
  const endpoint = await endpointOf(chosen);
  const { namespace, name: context } = chosen;
  if (isObjectField(chosen.user, "exec") || isObjectField(chosen.user, "auth-provider"))
    return { ...(await fromClientNode(chosen, endpoint)), namespace, context };
  const cert = await readPem(chosen.user, "client-certificate");
  const key = await readPem(chosen.user, "client-key");
  return {
    endpoint: { ...endpoint, ...(cert === undefined ? {} : { cert }), ...(key === undefined ? {} : { key }) },
    credentials: credentialsOf(chosen),
    namespace,
    context,
  };
}

async function endpointOf({ cluster, clusterName }: ChosenContext): Promise<Endpoint> {
  if (!isText(cluster.server))
    throw configError(`the cluster ${JSON.stringify(clusterName)} names no server`);
  if (!URL.canParse(cluster.server) || !/^https?:$/.test(new URL(cluster.server).protocol))
    throw configError(
      `the server of cluster ${JSON.stringify(clusterName)} is no http(s) URL: ${cluster.server}`,
    );
  if (isText(cluster["proxy-url"]))
    throw configError(
      `the cluster ${JSON.stringify(clusterName)} sets proxy-url, which weir does not carry out`,
    );
  const ca = await readPem(cluster, "certificate-authority");
  const serverName = cluster["tls-server-name"];
  return {
    url: cluster.server.replace(/\/$/, ""),
    ...(ca === undefined ? {} : { ca }),
    ...(isText(serverName) ? { serverName } : {}),
    ...(cluster["insecure-skip-tls-verify"] === true ? { isUnverified: true } : {}),
  };
}

function credentialsOf({ user, userName }: ChosenContext): Credentials {
  for (const field of ["as-groups", "as-uid", "as-user-extra"]) {
    if (user[field] !== undefined)
      throw configError(`the user ${JSON.stringify(userName)} sets ${field}, which weir does not carry out`);
  }
  const impersonate: Record<string, string> = isText(user.as) ? { "impersonate-user": user.as } : {};
  const fixed = (authorization?: string): Credentials => {
    const headers = { ...impersonate, ...(authorization === undefined ? {} : { authorization }) };
    return () => Promise.resolve(headers);
  };
  // kubectl: a token file wins over a token.
  if (isText(user.tokenFile)) {
    const fromFile = tokenFileCredentials(user.tokenFile);
    return async () => ({ ...impersonate, ...(await fromFile()) });
  }
  if (isText(user.token)) return fixed(`Bearer ${user.token}`);
  if (isText(user.username)) {
    const password = isText(user.password) ? user.password : "";
    return fixed(`Basic ${Buffer.from(`${user.username}:${password}`).toString("base64")}`);
  }
  return fixed();
}

/** Exec plugins and OIDC: the Kubernetes library runs them, caches what they give and renews it. Imported only here: it takes 0.5 s. */
async function fromClientNode(
  chosen: ChosenContext,
  endpoint: Endpoint,
): Promise<Pick<Target, "endpoint" | "credentials">> {
  const { KubeConfig } = await import("@kubernetes/client-node");
  const config = new KubeConfig();
  config.loadFromString(
    JSON.stringify({
      apiVersion: "v1",
      kind: "Config",
      "current-context": "chosen",
      contexts: [{ name: "chosen", context: { cluster: "chosen", user: "chosen" } }],
      clusters: [{ name: "chosen", cluster: chosen.cluster }],
      users: [{ name: "chosen", user: chosen.user }],
    }),
  );
  const ask = async (): Promise<{ headers: Record<string, string>; cert?: string; key?: string }> => {
    const filled: Parameters<typeof config.applyToHTTPSOptions>[0] = {};
    await config.applyToHTTPSOptions(filled);
    const headers: Record<string, string> = {};
    for (const [name, value] of Object.entries(filled.headers ?? {}))
      headers[name.toLowerCase()] = String(value);
    return {
      headers,
      ...(filled.cert ? { cert: String(filled.cert) } : {}),
      ...(filled.key ? { key: String(filled.key) } : {}),
    };
  };
  const first = await ask().catch((error: unknown) => {
    throw configError(
      `the credential plugin of user ${JSON.stringify(chosen.userName)} failed: ${String(error)}`,
      error,
    );
  });
  return {
    endpoint: {
      ...endpoint,
      ...(first.cert === undefined ? {} : { cert: first.cert }),
      ...(first.key === undefined ? {} : { key: first.key }),
    },
    credentials: async () => (await ask()).headers,
  };
}

async function fromServiceAccount(options: ConnectOptions): Promise<Target | undefined> {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = options.env;
  const folder = options.serviceAccountFolder ?? SERVICE_ACCOUNT_FOLDER;
  const tokenFile = join(folder, "token");
  if (!isText(host) || !isText(port) || !(await exists(tokenFile))) return undefined;
  if (options.context !== undefined)
    throw configError(
      `there is no kubeconfig that could hold the context ${JSON.stringify(options.context)}`,
    );
  const files = { ca: join(folder, "ca.crt"), namespace: join(folder, "namespace") };
  const ca = await readPem({ "certificate-authority": files.ca }, "certificate-authority");
  const namespace = (await exists(files.namespace))
    ? await readPem({ namespace: files.namespace }, "namespace")
    : undefined;
  return {
    endpoint: {
      url: `https://${host.includes(":") ? `[${host}]` : host}:${port}`,
      ...(ca === undefined ? {} : { ca }),
    },
    credentials: tokenFileCredentials(tokenFile),
    namespace: isText(namespace?.trim()) ? namespace.trim() : "default",
    context: undefined,
  };
}

function isObjectField(fields: Readonly<Record<string, unknown>>, field: string): boolean {
  return typeof fields[field] === "object" && fields[field] !== null;
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
