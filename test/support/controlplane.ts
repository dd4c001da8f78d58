// The flags of the control plane's programs. Ports are free ones on loopback, files lie in the test bed's folder.
import { join } from "node:path";

/** etcd: nothing is kept, so nothing is synced to disk. */
export function etcdFlags(folder: string, port: number, peerPort: number): string[] {
  const url = `http://127.0.0.1:${port}`;
  const peerUrl = `http://127.0.0.1:${peerPort}`;
  return [
    "--unsafe-no-fsync",
    "--log-level=error",
    `--data-dir=${join(folder, "etcd")}`,
    `--listen-client-urls=${url}`,
    `--advertise-client-urls=${url}`,
    `--listen-peer-urls=${peerUrl}`,
    `--initial-advertise-peer-urls=${peerUrl}`,
    `--initial-cluster=default=${peerUrl}`,
  ];
}

/** kube-apiserver with tokens, RBAC and a certificate of its own in `apiserver/` of the folder. */
export function apiServerFlags(folder: string, etcdPort: number, port: number): string[] {
  return [
    `--etcd-servers=http://127.0.0.1:${etcdPort}`,
    `--secure-port=${port}`,
    "--bind-address=127.0.0.1",
    "--advertise-address=127.0.0.1",
    `--cert-dir=${join(folder, "apiserver")}`,
    "--service-account-issuer=https://kubernetes.default.svc",
    `--service-account-signing-key-file=${join(folder, "sa.key")}`,
    `--service-account-key-file=${join(folder, "sa.key")}`,
    `--token-auth-file=${join(folder, "tokens.csv")}`,
    "--authorization-mode=Node,RBAC",
    "--service-cluster-ip-range=10.96.0.0/16",
    "--allow-privileged=true",
    "--endpoint-reconciler-type=none",
    "--disable-admission-plugins=ServiceAccount",
  ];
}

/** kube-controller-manager without the controllers that need nodes or a cloud. */
export function controllerFlags(folder: string, port: number): string[] {
  return [
    ...clientFlags(folder, port, "controllers"),
    `--service-account-private-key-file=${join(folder, "sa.key")}`,
    "--controllers=*,-bootstrap-signer-controller,-token-cleaner-controller,-node-ipam-controller,-cloud-node-lifecycle-controller",
    "--kube-api-qps=200",
    "--kube-api-burst=400",
  ];
}

/** What controller manager and scheduler have in common. */
export function clientFlags(folder: string, port: number, name: string): string[] {
  return [
    `--kubeconfig=${join(folder, "inner.kubeconfig")}`,
    "--leader-elect=false",
    `--secure-port=${port}`,
    "--bind-address=127.0.0.1",
    `--cert-dir=${join(folder, name)}`,
  ];
}
