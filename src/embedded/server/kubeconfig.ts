// The kubeconfig that lets kubectl and weir's own CLI reach the embedded server.
import { stringify } from "yaml";

export interface KubeconfigInput {
  readonly url: string;
  readonly certPem: string;
  readonly token: string;
}

/** YAML of a kubeconfig with one context named `weir`. It holds the token: write it with mode 0600. */
export function kubeconfigText({ url, certPem, token }: KubeconfigInput): string {
  return stringify({
    apiVersion: "v1",
    kind: "Config",
    "current-context": "weir",
    clusters: [
      {
        name: "weir",
        cluster: { server: url, "certificate-authority-data": Buffer.from(certPem).toString("base64") },
      },
    ],
    users: [{ name: "weir", user: { token } }],
    contexts: [{ name: "weir", context: { cluster: "weir", user: "weir", namespace: "default" } }],
  });
}
