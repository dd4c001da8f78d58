// The Service that leads to one template's pods, made from the ports that its containers declare.
import {
  apiVersionOf,
  EXPERIMENT_MESSAGES,
  type ExperimentTemplate,
  type KubeObject,
  POD_HASH_LABEL,
  RESOURCES,
  type ReplicaSet,
  type Service,
} from "../../api/api.ts";
import type { Action } from "../plan.ts";
import { podHashOf } from "../pods/replicaset.ts";
import { type ExperimentContext, experimentReference, templateAnnotations } from "./context.ts";
import { beingDeleted, type ExperimentPart, NO_PART } from "./plan.ts";

export interface ServicePart extends ExperimentPart {
  /** Of the Service, once the actions are done. */
  readonly name?: string;
  readonly error?: string;
  /** The field that is written otherwise than what runs. */
  readonly changed?: string;
}

/** Creates the Service that the template asks for, deletes one that it does not ask for any more once no proxy sends there. */
export function planTemplateService(
  context: ExperimentContext,
  template: ExperimentTemplate,
  replicaSet: ReplicaSet,
): ServicePart {
  const existing = context.services.get(template.name);
  if (template.service === undefined) {
    const reason = `template ${template.name} asks for no Service`;
    return planServiceRemoval(context, template.name, reason);
  }
  if (existing !== undefined) return planExistingService(context, template, replicaSet, existing);
  const ports = portsOf(replicaSet);
  if (ports.length === 0) {
    const text = `template ${template.name} declares no container port: no Service can lead to it`;
    return { ...NO_PART, waits: [{ code: "valid", text }] };
  }
  const name = wantedName(template, replicaSet);
  const blocker = context.snapshot.services.find((service) => service.metadata.name === name);
  if (blocker?.metadata.deletionTimestamp !== undefined) return beingDeleted(context, "Service", name);
  const refused = context.snapshot.refused.find((one) => one.kind === "Service" && one.name === name);
  const problem =
    blocker === undefined ? refused?.message : EXPERIMENT_MESSAGES.serviceTaken(name, template.name);
  if (problem !== undefined)
    return { ...NO_PART, error: EXPERIMENT_MESSAGES.serviceRefused(name, template.name, problem) };
  const action: Action = {
    kind: "createService",
    namespace: context.namespace,
    name,
    object: serviceObject(context, template, { name, ports, podHash: podHashOf(replicaSet) }),
    reason: `template ${template.name} asks for a Service`,
  };
  return { ...NO_PART, actions: [action], name };
}

/** Keeps the Service, with a word where it should have another name; it makes room for one that leads to the template's pods. */
function planExistingService(
  context: ExperimentContext,
  template: ExperimentTemplate,
  replicaSet: ReplicaSet,
  existing: Service,
): ServicePart {
  const { name } = existing.metadata;
  if (existing.spec.selector?.[POD_HASH_LABEL] !== podHashOf(replicaSet))
    return planServiceRemoval(context, template.name, `template ${template.name} has other pods now`);
  if (name === wantedName(template, replicaSet)) return { ...NO_PART, name };
  if (context.status.phase !== undefined)
    return { ...NO_PART, name, changed: `spec.templates[${template.name}].service.name` };
  const reason = `template ${template.name} names its Service otherwise now`;
  return { ...NO_PART, actions: removeService(existing, reason) };
}

function wantedName({ service }: ExperimentTemplate, replicaSet: ReplicaSet): string {
  const own = service?.name ?? "";
  return own === "" ? replicaSet.metadata.name : own;
}

/**
 * Deletes the template's Service if there is one, once no proxy may send to the pods that it leads to: without it their endpoints are gone from
 * the proxies at once. It costs nothing, so that it is waited for as long as those pods are there.
 */
export function planServiceRemoval(
  { services, snapshot }: ExperimentContext,
  template: string,
  reason: string,
): ExperimentPart {
  const service = services.get(template);
  const podHash = service?.spec.selector?.[POD_HASH_LABEL] ?? "";
  return snapshot.routed.includes(podHash)
    ? {
        ...NO_PART,
        waits: [{ code: "acknowledgement", text: `proxies may still send to template ${template}` }],
      }
    : { ...NO_PART, actions: removeService(service, reason) };
}

/** Deletes the Service if there is one. */
export function removeService(service: Service | undefined, reason: string): readonly Action[] {
  if (service === undefined) return [];
  const { namespace = "", name, uid = "" } = service.metadata;
  return [{ kind: "deleteService", namespace, name, uid, reason }];
}

type Ports = readonly Readonly<Record<string, unknown>>[];
type ContainerPort = { readonly containerPort: number; readonly protocol?: string | undefined };

/** As the containers declare them, each once. With several an API server asks for a name of each: Argo gives none, and gets no Service. */
function portsOf(replicaSet: ReplicaSet): Ports {
  const containers = replicaSet.spec.template?.spec?.containers ?? [];
  const ports = containers
    .flatMap(({ ports: declared = [] }) => declared)
    .filter((port, index, all) => all.findIndex((other) => isSamePort(port, other)) === index);
  const names = namesOf(ports.map(({ name = "" }) => name));
  return ports.map(({ protocol, containerPort }, index) => ({
    ...(names[index] === "" ? {} : { name: names[index] }),
    ...(protocol === undefined || protocol === "" ? {} : { protocol }),
    port: containerPort,
    targetPort: containerPort,
  }));
}

function isSamePort(a: ContainerPort, b: ContainerPort): boolean {
  return a.containerPort === b.containerPort && (a.protocol || "TCP") === (b.protocol || "TCP");
}

/** One name for each of several ports: the given ones, the first time, and `port-<n>` for the others, as `kubectl expose` does. */
function namesOf(given: readonly string[]): readonly string[] {
  if (given.length < 2) return given;
  const taken = new Set(given);
  const free = (number: number): string =>
    taken.has(`port-${number}`) ? free(number + 1) : `port-${number}`;
  return given.map((name, index) => {
    const isFirst = name !== "" && given.indexOf(name) === index;
    const chosen = isFirst ? name : free(index + 1);
    taken.add(chosen);
    return chosen;
  });
}

function serviceObject(
  context: ExperimentContext,
  template: ExperimentTemplate,
  service: { readonly name: string; readonly ports: Ports; readonly podHash: string },
): KubeObject {
  return {
    apiVersion: apiVersionOf(RESOURCES.service),
    kind: RESOURCES.service.kind,
    metadata: {
      name: service.name,
      namespace: context.namespace,
      annotations: templateAnnotations(context.name, template.name),
      ownerReferences: [experimentReference(context)],
    },
    spec: { selector: { [POD_HASH_LABEL]: service.podHash }, ports: service.ports },
  };
}
