// What names, labels, keys and ports may consist of, with Kubernetes' words for what they may not. Each gives the complaints; none: right.
// Source: apimachinery util/validation, v0.34.

const LABEL_FORM = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const QUALIFIED_FORM = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const QUALIFIED_WORDS =
  "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
const QUALIFIED_EXAMPLES = `(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '${QUALIFIED_FORM}')`;
const SUBDOMAIN_FORM = `${LABEL_FORM}(\\.${LABEL_FORM})*`;
const SUBDOMAIN_WORDS = `a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '${SUBDOMAIN_FORM}')`;
const LABEL_WORDS = `a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '${LABEL_FORM}')`;

const LABEL = new RegExp(`^${LABEL_FORM}$`);
const SUBDOMAIN = new RegExp(`^${SUBDOMAIN_FORM}$`);
const QUALIFIED = new RegExp(`^${QUALIFIED_FORM}$`);
const LABEL_VALUE_FORM = `(${QUALIFIED_FORM})?`;
const LABEL_VALUE = new RegExp(`^${LABEL_VALUE_FORM}$`);

type Complaints = readonly string[];

/** Of a container, volume or host: one DNS label. */
export function dnsLabelFaults(text: string): Complaints {
  return [...tooLong(text, 63), ...(LABEL.test(text) ? [] : [LABEL_WORDS])];
}

/** Of most objects: DNS labels with dots between. */
export function subdomainFaults(text: string): Complaints {
  return [...tooLong(text, 253), ...(SUBDOMAIN.test(text) ? [] : [SUBDOMAIN_WORDS])];
}

/** Keys of labels and annotations: `app`, `example.com/app`. */
export function qualifiedNameFaults(text: string): Complaints {
  const parts = text.split("/");
  if (parts.length > 2)
    return [
      `a qualified name ${QUALIFIED_WORDS} ${QUALIFIED_EXAMPLES} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`,
    ];
  const name = parts.at(-1) ?? "";
  const [prefix] = parts.length === 2 ? parts : [undefined];
  const faults: string[] = [];
  if (prefix === "") faults.push("prefix part must be non-empty");
  else if (prefix !== undefined)
    faults.push(...subdomainFaults(prefix).map((words) => `prefix part ${words}`));
  if (name === "") faults.push("name part must be non-empty");
  faults.push(...tooLong(name, 63).map((words) => `name part ${words}`));
  if (!QUALIFIED.test(name)) faults.push(`name part ${QUALIFIED_WORDS} ${QUALIFIED_EXAMPLES}`);
  return faults;
}

/** Values of labels. */
export function labelValueFaults(text: string): Complaints {
  const words = `a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(${LABEL_VALUE_FORM.slice(1, -2)})?')`;
  return [...tooLong(text, 63), ...(LABEL_VALUE.test(text) ? [] : [words])];
}

/** Names of environment variables. */
export function envNameFaults(text: string): Complaints {
  const words =
    "a valid environment variable name must consist of alphabetic characters, digits, '_', '-', or '.', and must not start with a digit (e.g. 'my.env-name',  or 'MY_ENV.NAME',  or 'MyEnvName1', regex used for validation is '[-._a-zA-Z][-._a-zA-Z0-9]*')";
  return [...(/^[-._a-zA-Z][-._a-zA-Z0-9]*$/.test(text) ? [] : [words]), ...dotFaults(text)];
}

/** Keys of ConfigMaps and Secrets. */
export function configKeyFaults(text: string): Complaints {
  const words =
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
  return [...tooLong(text, 253), ...(/^[-._a-zA-Z0-9]+$/.test(text) ? [] : [words]), ...dotFaults(text)];
}

/** Names of container ports. */
export function portNameFaults(text: string): Complaints {
  const faults = [...tooLong(text, 15)];
  if (!/^[-a-z0-9]+$/.test(text))
    faults.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
  if (!/[a-z]/.test(text)) faults.push("must contain at least one letter (a-z)");
  if (text.includes("--")) faults.push("must not contain consecutive hyphens");
  if (text.startsWith("-") || text.endsWith("-")) faults.push("must not begin or end with a hyphen");
  return faults;
}

/** Numbers of ports. */
export function portNumberFaults(port: number): Complaints {
  return port >= 1 && port <= 65_535 ? [] : ["must be between 1 and 65535, inclusive"];
}

/** Names of HTTP header fields. */
export function headerNameFaults(text: string): Complaints {
  const words =
    "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')";
  return /^[-A-Za-z0-9]+$/.test(text) ? [] : [words];
}

function dotFaults(text: string): Complaints {
  if (text === "." || text === "..") return [`must not be '${text}'`];
  return text.startsWith("..") ? ["must not start with '..'"] : [];
}

function tooLong(text: string, max: number): Complaints {
  return text.length > max ? [`must be no more than ${max} characters`] : [];
}
