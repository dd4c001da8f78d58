// The door of api/: what other rooms may use, by name.
export { controllerOf, type KubeObject, keyOf, type ObjectMeta, type OwnerReference } from "./meta.ts";
export { apiVersionOf, RESOURCES, type ResourceType } from "./resources.ts";
export type { Acknowledgement, SilentNode, TrafficIntent, VersionWeight } from "./traffic.ts";
