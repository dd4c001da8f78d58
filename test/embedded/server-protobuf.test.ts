// Bodies in protobuf, as Go clients write built-in kinds. The vectors are k8s.io/api v0.36.3's own encodings of the objects beside them.
import { readFileSync } from "node:fs";
import { Agent, request } from "node:https";
import { type Test, test } from "tap";
import { jsonOfProtobuf } from "../../src/embedded/server/protobuf.ts";
import { isWeirError } from "../../src/lib/errors.ts";
import { type Any, CONFIG_MAPS, configMap, PODS, pod, ROLLOUTS, startServer } from "./server-support.ts";

interface Vector {
  readonly protobuf: string;
  readonly json: Any;
}

const VECTORS: readonly Vector[] = JSON.parse(
  readFileSync(new URL("protobuf.vectors.json", import.meta.url), "utf8"),
);
const bytesOf = (kind: string): Buffer =>
  Buffer.from(VECTORS.find(({ json }) => json.kind === kind)?.protobuf ?? "", "base64");

test("server protobuf: what Kubernetes' own types encode is read as their JSON", async (t) => {
  for (const { protobuf, json } of VECTORS)
    t.strictSame(JSON.parse(jsonOfProtobuf(Buffer.from(protobuf, "base64")) ?? ""), json, json.kind);
  t.equal(jsonOfProtobuf(Buffer.alloc(0)), undefined, "an empty body");
});

test("server protobuf: a body that is cut off or changed is read or refused in words, never an error of ours", async (t) => {
  const attempt = (body: Buffer): boolean => {
    try {
      jsonOfProtobuf(body);
      return true;
    } catch (error) {
      return isWeirError(error) && /^the body is not Kubernetes' protobuf: /.test(error.message);
    }
  };
  const bad: string[] = [];
  for (const { protobuf } of VECTORS) {
    const whole = Buffer.from(protobuf, "base64");
    for (let at = 0; at < whole.length; at += 1) {
      const changed = Buffer.from(whole);
      changed[at] = 0xff - (changed[at] ?? 0);
      for (const body of [whole.subarray(0, at), changed])
        if (!attempt(body)) bad.push(body.toString("base64"));
    }
  }
  t.strictSame(bad, []);
});

test("server protobuf: built-in kinds are created, changed, evicted and deleted with it, others refused in words", async (t) => {
  const { send, api } = await scene(t);
  t.match(await send("POST", SECRETS, bytesOf("Secret")), {
    status: 201,
    body: { metadata: { annotations: { a: "ü" } }, data: { a: "AP8=", b: "" } },
  });
  t.match(await send("POST", LEASES, bytesOf("Lease")), {
    status: 201,
    body: { spec: { holderIdentity: "me" } },
  });
  t.match(await send("PUT", `${SECRETS}/s`, bytesOf("Secret")), { status: 200, body: { kind: "Secret" } });
  await api.post(PODS, pod("p"));
  t.match(await send("POST", `${PODS}/p/eviction`, bytesOf("Eviction")), { status: 201 });
  await api.post(CONFIG_MAPS, configMap("a"));
  t.match(await send("DELETE", `${CONFIG_MAPS}/a`, DELETE_OPTIONS), {
    status: 200,
    body: { status: "Success" },
  });
  const rollout = Buffer.concat([Buffer.from("k8s\0"), Buffer.from("\n\x09\n\x00\x12\x05Thing")]);
  t.match(await send("POST", ROLLOUTS, rollout), { status: 415, body: { message: /as JSON only/ } });
  t.match(await send("POST", SECRETS, Buffer.from("k8s")), {
    status: 400,
    body: { message: /not Kubernetes' protobuf/ },
  });
});

const SECRETS = "/api/v1/namespaces/default/secrets";
const LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases";
/** apiVersion v1, kind DeleteOptions, and in it propagationPolicy Background. */
const DELETE_OPTIONS = Buffer.concat([
  Buffer.from("k8s\0"),
  Buffer.from("\n\x13\n\x02v1\x12\x0dDeleteOptions\x12\x0c\x22\x0aBackground"),
]);

/** A server on a socket, and requests with bodies in protobuf. */
async function scene(t: Test) {
  const { server, api } = await startServer(t);
  const listener = await server.listen();
  const agent = new Agent({ ca: server.certificate });
  const headers = {
    authorization: `Bearer ${server.token}`,
    "content-type": "application/vnd.kubernetes.protobuf",
    accept: "application/vnd.kubernetes.protobuf,application/json",
  };
  const send = async (method: string, path: string, body: Buffer): Promise<{ status: number; body: Any }> => {
    const chunks: Uint8Array[] = [];
    const status = await new Promise<number>((resolve, reject) => {
      // Of a DELETE the library does not frame the body itself.
      const framed = { ...headers, "content-length": body.length };
      const sent = request(new URL(path, listener.url), { method, headers: framed, agent }, (response) => {
        response.on("data", (chunk: Uint8Array) => chunks.push(chunk));
        response.on("end", () => resolve(response.statusCode ?? 0));
      });
      sent.on("error", reject);
      sent.end(body);
    });
    return { status, body: JSON.parse(Buffer.concat(chunks).toString()) };
  };
  return { api, send };
}
