// Envoy's API as @grpc/grpc-js-xds ships it: the full set, against which our subset is held.
import { existsSync } from "node:fs";
import { join } from "node:path";
import protobuf from "protobufjs";

const ROOT = join(import.meta.dirname, "../..");
const DEPS = join(ROOT, "node_modules/@grpc/grpc-js-xds/deps");
const SHIPPED = [
  "envoy/config/bootstrap/v3/bootstrap.proto",
  "envoy/config/endpoint/v3/load_report.proto",
  "envoy/config/listener/v3/api_listener.proto",
  "envoy/extensions/access_loggers/file/v3/file.proto",
  "envoy/extensions/access_loggers/stream/v3/stream.proto",
  "envoy/extensions/http/early_header_mutation/header_mutation/v3/header_mutation.proto",
  "envoy/extensions/filters/http/router/v3/router.proto",
  "envoy/extensions/filters/network/connection_limit/v3/connection_limit.proto",
  "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.proto",
  "envoy/extensions/retry/host/previous_hosts/v3/previous_hosts.proto",
  "envoy/extensions/upstreams/http/v3/http_protocol_options.proto",
  "envoy/service/discovery/v3/ads.proto",
  "envoy/service/load_stats/v3/lrs.proto",
];

/** All messages and enums that ours come from, with the fields' names as in the files. */
export function shippedRoot(): protobuf.Root {
  const root = new protobuf.Root();
  const folders = ["envoy-api", "xds", "googleapis", "protoc-gen-validate"].map((name) => join(DEPS, name));
  folders.push(join(ROOT, "node_modules/protobufjs"));
  root.resolvePath = (_origin, target) =>
    folders.map((folder) => join(folder, target)).find((path) => existsSync(path)) ?? target;
  root.loadSync(SHIPPED, { keepCase: true });
  root.resolveAll();
  return root;
}
