// The section `directResponse` of a TrafficPolicy: a rule's requests are answered by the proxy itself.
import type { PolicySections } from "../api/api.ts";
import { isFieldValue } from "../lib/fields.ts";
import { HeaderValueOption_HeaderAppendAction } from "../xds/types.ts";
import type { RouteInit } from "./actions.ts";
import type { EditsInit } from "./filters.ts";
import type { Report } from "./input.ts";
import type { Applied } from "./policies.ts";

type Section = NonNullable<PolicySections["directResponse"]>;

/** As in Envoy. */
const MAX_BODY_BYTES = 4096;

/** The section, where it holds and makes sense; what does not is reported. */
export function directResponseOf({ sections, sources }: Applied, report: Report): Section | undefined {
  const section = sections.directResponse;
  if (section === undefined) return undefined;
  const wrong = (field: string, words: string): undefined =>
    void report(
      sources.directResponse ?? "",
      `spec.directResponse.${field}`,
      `${words}; requests are forwarded`,
    );
  const { status, body = "", contentType = "" } = section;
  if (status < 200 || status > 599) return wrong("status", `${status} is not 200 to 599`);
  if (Buffer.byteLength(body) > MAX_BODY_BYTES)
    return wrong("body", `there are more than ${MAX_BODY_BYTES} bytes`);
  if (body !== "" && (status === 204 || status === 304)) return wrong("body", `status ${status} has no body`);
  if (!isFieldValue(contentType)) return wrong("contentType", "there is a control byte");
  return section;
}

/** The route that gives that answer. */
export function withContentType(edits: EditsInit, { status, body = "", contentType }: Section): RouteInit {
  const type = {
    header: { key: "content-type", value: contentType?.replaceAll("%", "%%") ?? "" },
    appendAction: HeaderValueOption_HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD,
  };
  return {
    ...edits,
    ...(contentType !== undefined && {
      responseHeadersToAdd: [type, ...(edits.responseHeadersToAdd ?? [])],
    }),
    action: {
      case: "directResponse",
      value: { status, body: { specifier: { case: "inlineString", value: body } } },
    },
  };
}
