// The door of embedded/: the API server on SQLite, and the node agent and controllers that give its objects life.
export { type Agent, type AgentLogRequest, type AgentOptions, createAgent, NO_LOG } from "./agent/agent.ts";
export { defaultImages, IMAGES_INVALID, type ImageEntry, type ImageMap, loadImages } from "./agent/images.ts";
export type { AgentNetwork } from "./agent/network.ts";
export { PORTS_ANNOTATION } from "./agent/podspec.ts";
export {
  createGatewayController,
  GATEWAY_LABEL,
  type GatewayController,
  type GatewayControllerDeps,
} from "./gateway/gateways.ts";
export { SERVER_ERRORS } from "./server/errors.ts";
export type { Listener, ListenOptions } from "./server/listen.ts";
export type { LogProvider, LogRequest } from "./server/logs.ts";
export { createEmbeddedServer, type EmbeddedServer, type EmbeddedServerOptions } from "./server/server.ts";
export {
  startWorkloadControllers,
  type WorkloadControllers,
  type WorkloadDeps,
} from "./workload/workload.ts";
