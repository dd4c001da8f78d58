// Which port of an experiment's Service stands for a port of the Rollout's: that Service is made from the containers' ports, the Rollout's may
// map its own onto them. Pure.
import type { Destination, TranslateInput } from "./input.ts";

/** The port of Service `name` to send to, for requests to `root`; that of `root` where nothing corresponds. */
export function experimentPort(input: TranslateInput, root: Destination, name: string): number {
  const ports = input.service(root.namespace, name)?.spec?.ports ?? [];
  const wanted = input
    .service(root.namespace, root.service)
    ?.spec?.ports?.find((it) => it.port === root.port);
  const target = wanted?.targetPort ?? root.port;
  const found =
    ports.find((it) => (it.targetPort ?? it.port) === target) ??
    ports.find((it) => it.name !== undefined && (it.name === target || it.name === wanted?.name)) ??
    ports.find((it) => it.port === root.port) ??
    (ports.length === 1 ? ports[0] : undefined);
  return found?.port ?? root.port;
}
