// HTTP connection manager → where and in which format requests are logged. Pure.
import {
  FileAccessLogSchema,
  type HttpConnectionManager,
  StderrAccessLogSchema,
  StdoutAccessLogSchema,
  type SubstitutionFormatString,
  unpack,
} from "../../xds/types.ts";
import type { AccessLogOptions } from "../http1/listener.ts";
import { DEFAULT_FORMAT, jsonFormat, type LogFormat, textFormat } from "../observe/logformat.ts";
import type { Problems } from "./problems.ts";

type Refuse = (why: string) => void;

/** Reads the access log; undefined: there is none. `at` is the path of the manager. */
export function compileAccessLog(
  hcm: HttpConnectionManager,
  at: string,
  problems: Problems,
): AccessLogOptions | undefined {
  const [first, ...more] = hcm.accessLog;
  if (first === undefined) return undefined;
  if (more.length > 0) problems.add(`${at}.access_log`, "names more than one log, and this proxy writes one");
  const path = `${at}.access_log[0].typed_config`;
  const any = first.configType.case === "typedConfig" ? first.configType.value : undefined;
  const refuse: Refuse = (why) => problems.add(path, why);
  const out = unpack(StdoutAccessLogSchema, any);
  if (out !== undefined) return { path: "/dev/stdout", format: formatOf(out.accessLogFormat.value, refuse) };
  const err = unpack(StderrAccessLogSchema, any);
  if (err !== undefined) return { path: "/dev/stderr", format: formatOf(err.accessLogFormat.value, refuse) };
  const file = unpack(FileAccessLogSchema, any);
  if (file === undefined) {
    refuse("is no access log to a file or standard stream");
    return undefined;
  }
  if (file.path === "") problems.add(`${path}.path`, "is empty");
  return { path: file.path, format: fileFormat(file.accessLogFormat, refuse) };
}

function fileFormat(
  format: NonNullable<ReturnType<typeof unpack<typeof FileAccessLogSchema>>>["accessLogFormat"],
  refuse: Refuse,
): LogFormat {
  switch (format.case) {
    case "format":
      return textFormat(format.value, refuse);
    case "jsonFormat":
    case "typedJsonFormat":
      return jsonFormat(format.value, false, refuse);
    case "logFormat":
      return formatOf(format.value, refuse);
    case undefined:
      return textFormat(DEFAULT_FORMAT, refuse);
  }
}

function formatOf(wanted: SubstitutionFormatString | undefined, refuse: Refuse): LogFormat {
  const format = wanted?.format;
  switch (format?.case) {
    case "textFormat":
      return textFormat(format.value, refuse);
    case "textFormatSource": {
      const { specifier } = format.value;
      if (specifier.case !== "inlineString") refuse("has no inline_string");
      return textFormat(specifier.case === "inlineString" ? specifier.value : "", refuse);
    }
    case "jsonFormat":
      return jsonFormat(format.value, wanted?.jsonFormatOptions?.sortProperties ?? false, refuse);
    case undefined:
      return textFormat(DEFAULT_FORMAT, refuse);
  }
}
