// Evictions as the API decides them: done, refused in words, or not decided at all.
import { test } from "tap";
import { evictPod } from "../../src/cluster/client.ts";
import { errorOfResponse } from "../../src/cluster/errors.ts";

const POD = { namespace: "shop", name: "web-1" };
const signal = AbortSignal.timeout(10_000);

function answering(httpStatus: number, body: unknown): Parameters<typeof evictPod>[0] {
  return {
    request: () => {
      if (httpStatus < 400) return Promise.resolve(body);
      const text = typeof body === "string" ? body : JSON.stringify(body);
      return Promise.reject(errorOfResponse(httpStatus, text, "evict"));
    },
  };
}

const status = (reason: string, message: string) => ({ kind: "Status", status: "Failure", reason, message });

test("evict: asks for the pod of that uid and no other", async (t) => {
  const asked: unknown[] = [];
  const client = {
    request: (method: string, path: string, options?: { readonly body?: unknown }) => {
      asked.push([method, path, options?.body]);
      return Promise.resolve({});
    },
  };
  t.strictSame(await evictPod(client, POD, "u1", signal), { kind: "evicted" });
  t.match(asked, [
    [
      "POST",
      "/api/v1/namespaces/shop/pods/web-1/eviction",
      { deleteOptions: { preconditions: { uid: "u1" } } },
    ],
  ]);
});

test("evict: a budget's refusal is an answer, with its words", async (t) => {
  const words = "Cannot evict pod as it would violate the pod's disruption budget.";
  const refused = { kind: "refused", words };
  t.strictSame(await evictPod(answering(429, status("TooManyRequests", words)), POD, "u1", signal), refused);
  const two = "This pod has more than one PodDisruptionBudget";
  t.strictSame(await evictPod(answering(500, status("InternalError", two)), POD, "u1", signal), {
    kind: "refused",
    words: two,
  });
});

test("evict: a pod that is gone needs no eviction", async (t) => {
  const gone = status("NotFound", "pods web-1 not found");
  t.strictSame(await evictPod(answering(404, gone), POD, "u1", signal), { kind: "evicted" });
  const other = status("Conflict", "the UID in the precondition does not match");
  t.strictSame(await evictPod(answering(409, other), POD, "u1", signal), { kind: "evicted" });
});

test("evict: a server that does not decide is a failure", async (t) => {
  await t.rejects(evictPod(answering(503, "busy"), POD, "u1", signal), {
    code: "WEIR_ERR_CLUSTER_UNAVAILABLE",
  });
  await t.rejects(evictPod(answering(500, "<html>"), POD, "u1", signal), {
    code: "WEIR_ERR_CLUSTER_UNAVAILABLE",
  });
  const forbidden = status("Forbidden", "pods/eviction is forbidden");
  await t.rejects(evictPod(answering(403, forbidden), POD, "u1", signal), {
    code: "WEIR_ERR_CLUSTER_FORBIDDEN",
  });
});
