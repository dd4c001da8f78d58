// The table of HTTP/1.1 framing: what the proxy refuses, with which status, and what it passes on, as the server behind it reads it.
// Rules: RFC 9112 and 9110, and what strict framing adds (bare LF refused, exact Transfer-Encoding, one valid Host).

/** Requests that get that status and a closed connection, and never reach an origin. */
export const REFUSED: readonly (readonly [name: string, input: string, status: number])[] = [
  ["bare LF behind the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", 400],
  ["bare LF behind a field", "GET / HTTP/1.1\r\nHost: a\n\r\n", 400],
  ["bare LF as the last line", "GET / HTTP/1.1\r\nHost: a\r\n\n", 400],
  ["bare LFs only", "GET / HTTP/1.1\nHost: a\n\n", 400],
  ["bare CR in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", 400],
  ["NUL in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 400],
  ["DEL in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: a\x7fb\r\n\r\n", 400],
  ["escape in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: \x1b[0m\r\n\r\n", 400],
  ["folded field", "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", 400],
  ["folded first line", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400],
  ["space before the colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400],
  ["tab before the colon", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length\t: 1\r\n\r\nx", 400],
  ["space in a name", "GET / HTTP/1.1\r\nHost: a\r\nX Y: 1\r\n\r\n", 400],
  ["empty name", "GET / HTTP/1.1\r\nHost: a\r\n: 1\r\n\r\n", 400],
  ["no colon", "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", 400],
  ["high byte in a name", "GET / HTTP/1.1\r\nHost: a\r\nX\xe9: 1\r\n\r\n", 400],
  [
    "length and chunked",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    400,
  ],
  [
    "chunked and length",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    400,
  ],
  ["chunked in HTTP/1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400],
  ["xchunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400],
  [
    "chunked with parameter",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n",
    400,
  ],
  [
    "chunked, identity",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    400,
  ],
  ["gzip, chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400],
  [
    "chunked twice",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    400,
  ],
  ["identity", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", 400],
  ["empty encoding", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n", 400],
  ["quoted chunked", 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n', 400],
  [
    "vertical tab before chunked",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    400,
  ],
  ["negative length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400],
  ["signed length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx", 400],
  ["hexadecimal length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\nx", 400],
  ["length with a space inside", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1 1\r\n\r\nx", 400],
  ["empty length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", 400],
  [
    "differing lengths",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    400,
  ],
  ["differing lengths in a list", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 2\r\n\r\nxx", 400],
  ["list of lengths with a hole", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1,\r\n\r\nx", 400],
  ["length above 2^53", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9007199254740993\r\n\r\nx", 400],
  [
    "length that wraps at 2^64",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551617\r\n\r\nx",
    400,
  ],
  ["no Host", "GET / HTTP/1.1\r\n\r\n", 400],
  ["no Host with an absolute target", "GET http://a/ HTTP/1.1\r\n\r\n", 400],
  ["two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400],
  ["two Hosts in HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400],
  ["empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400],
  ["Host with a user", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400],
  ["Host with a word for a port", "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", 400],
  ["Host with an open bracket", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400],
  ["Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400],
  ["Host with a list", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400],
  ["Host with a broken escape", "GET / HTTP/1.1\r\nHost: a%2\r\n\r\n", 400],
  ["absolute target with a user", "GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400],
  ["absolute target without a host", "GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", 400],
  ["absolute target of another scheme", "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400],
  ["fragment in the target", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400],
  ["space in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400],
  ["tab in the target", "GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n", 400],
  ["high byte in the target", "GET /\xe9 HTTP/1.1\r\nHost: a\r\n\r\n", 400],
  ["NUL in the target", "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", 400],
  ["target without a slash", "GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400],
  ["asterisk for GET", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400],
  ["empty target", "GET  HTTP/1.1\r\nHost: a\r\n\r\n", 400],
  ["two spaces before the version", "GET /  HTTP/1.1\r\nHost: a\r\n\r\n", 400],
  ["space behind the version", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400],
  ["HTTP/0.9", "GET /\r\n\r\n", 400],
  ["lower-case version", "GET / http/1.1\r\nHost: a\r\n\r\n", 400],
  ["HTTP/1.10", "GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400],
  ["HTTP/2.0", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505],
  ["HTTP/1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505],
  ["HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505],
  ["space before the method", " GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400],
  ["colon in the method", "G:T / HTTP/1.1\r\nHost: a\r\n\r\n", 400],
  ["method of 33 bytes", `${"G".repeat(33)} / HTTP/1.1\r\nHost: a\r\n\r\n`, 400],
  ["TLS instead of HTTP", "\x16\x03\x01\x02\x00\x01\x00", 400],
  ["two empty lines first", "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400],
  ["chunk size with a sign", chunked("+1\r\nx\r\n0\r\n\r\n"), 400],
  ["chunk size with a prefix", chunked("0x1\r\nx\r\n0\r\n\r\n"), 400],
  ["chunk size with an underscore", chunked("1_0\r\nx\r\n0\r\n\r\n"), 400],
  ["empty chunk size", chunked("\r\nx\r\n0\r\n\r\n"), 400],
  ["space before the chunk size", chunked(" 1\r\nx\r\n0\r\n\r\n"), 400],
  ["space behind the chunk size", chunked("1 \r\nx\r\n0\r\n\r\n"), 400],
  ["chunk size that overflows", chunked("10000000000000001\r\nx\r\n0\r\n\r\n"), 400],
  ["chunk size with LF only", chunked("1\nx\r\n0\r\n\r\n"), 400],
  ["NUL in a chunk extension", chunked("1;a=\0\r\nx\r\n0\r\n\r\n"), 400],
  ["LF in a chunk extension", chunked("1;a\nb\r\nx\r\n0\r\n\r\n"), 400],
  ["too many chunk extensions", chunked(`1;${"a".repeat(17_000)}\r\nx\r\n0\r\n\r\n`), 400],
  ["chunk longer than stated", chunked("1\r\nxy\r\n0\r\n\r\n"), 400],
  ["LF only behind chunk data", chunked("1\r\nx\n0\r\n\r\n"), 400],
  ["CR only behind chunk data", chunked("1\r\nx\r0\r\n\r\n"), 400],
  ["LF only behind the trailers", chunked("0\r\nA: b\n\r\n"), 400],
  ["space before the colon of a trailer", chunked("0\r\nA : b\r\n\r\n"), 400],
  ["folded trailer", chunked("0\r\nA: b\r\n c\r\n\r\n"), 400],
  ["long target", `GET /${"a".repeat(20_000)} HTTP/1.1\r\nHost: a\r\n\r\n`, 414],
  ["big head", `GET / HTTP/1.1\r\nHost: a\r\nX: ${"a".repeat(62_000)}\r\n\r\n`, 431],
  ["101 fields", `GET / HTTP/1.1\r\nHost: a\r\n${"X: a\r\n".repeat(100)}\r\n`, 431],
  [
    "too many names in Connection",
    `GET / HTTP/1.1\r\nHost: a\r\nConnection: ${"a,".repeat(17)}b\r\n\r\n`,
    400,
  ],
  ["Max-Forwards that is no number", "OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: x\r\n\r\n", 400],
  ["CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 405],
];

export interface Accepted {
  readonly method?: string;
  readonly url?: string;
  readonly host?: string;
  readonly body?: string;
  /** Fields that the server must see, with their values. */
  readonly has?: Readonly<Record<string, string>>;
  /** Fields that must not reach it. */
  readonly lacks?: readonly string[];
  readonly trailers?: Readonly<Record<string, string>>;
}

/** Requests that reach the origin, which must read them so. */
export const ACCEPTED: readonly (readonly [name: string, input: string, want: Accepted])[] = [
  [
    "plain GET",
    "GET /a?b=c HTTP/1.1\r\nHost: x.test\r\n\r\n",
    {
      method: "GET",
      url: "/a?b=c",
      host: "x.test",
      body: "",
      lacks: ["content-length", "transfer-encoding"],
    },
  ],
  ["one empty line first", "\r\nGET /e HTTP/1.1\r\nHost: a\r\n\r\n", { url: "/e" }],
  ["method of its own", "PURGE /p HTTP/1.1\r\nHost: a\r\n\r\n", { method: "PURGE" }],
  ["Host with a port", "GET / HTTP/1.1\r\nHost: a.test:8080\r\n\r\n", { host: "a.test:8080" }],
  ["Host of IPv6", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", { host: "[::1]:80" }],
  [
    "absolute target over Host",
    "GET http://b.test/x?y HTTP/1.1\r\nHost: a.test\r\n\r\n",
    { url: "/x?y", host: "b.test" },
  ],
  [
    "absolute target without a path",
    "GET http://b.test HTTP/1.1\r\nHost: a\r\n\r\n",
    { url: "/", host: "b.test" },
  ],
  [
    "absolute target with a query only",
    "GET http://b.test?q=1 HTTP/1.1\r\nHost: a\r\n\r\n",
    { url: "/?q=1", host: "b.test" },
  ],
  [
    "absolute target of OPTIONS without a path",
    "OPTIONS http://b.test HTTP/1.1\r\nHost: a\r\n\r\n",
    { url: "*", host: "b.test" },
  ],
  ["asterisk of OPTIONS", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", { method: "OPTIONS", url: "*" }],
  [
    "values with tabs, quotes and high bytes",
    'GET / HTTP/1.1\r\nHost: a\r\nX:\t a "b"\tc\xe9 \t\r\n\r\n',
    { has: { x: 'a "b"\tc\xe9' } },
  ],
  ["empty value", "GET / HTTP/1.1\r\nHost: a\r\nX:\r\n\r\n", { has: { x: "" } }],
  [
    "body by length",
    "POST /l HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    { method: "POST", body: "hello", has: { "content-length": "5" } },
  ],
  [
    "body of length 0",
    "POST /l HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    { body: "", has: { "content-length": "0" } },
  ],
  [
    "equal lengths repeated",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
    { body: "ok", has: { "content-length": "2" } },
  ],
  [
    "equal lengths in a list",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2, 2\r\n\r\nok",
    { body: "ok", has: { "content-length": "2" } },
  ],
  [
    "length with leading zeros",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 002\r\n\r\nok",
    { body: "ok", has: { "content-length": "2" } },
  ],
  [
    "chunked body",
    chunked("5\r\nhello\r\n6;a=b\r\n world\r\n0\r\n\r\n"),
    { body: "hello world", has: { "transfer-encoding": "chunked" }, lacks: ["content-length"] },
  ],
  [
    "chunked in mixed case",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: ChUnKeD\r\n\r\n1\r\nx\r\n0\r\n\r\n",
    { body: "x", has: { "transfer-encoding": "chunked" } },
  ],
  ["chunk size with zeros and capitals", chunked("00A\r\n0123456789\r\n0\r\n\r\n"), { body: "0123456789" }],
  ["several last zeros", chunked("1\r\nx\r\n000\r\n\r\n"), { body: "x" }],
  [
    "trailers",
    chunked("1\r\nx\r\n0\r\nX-Sum: 12\r\nX-More: 3\r\n\r\n"),
    { body: "x", trailers: { "x-sum": "12", "x-more": "3" } },
  ],
  [
    "trailers without length, encoding and Host",
    chunked("0\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\nHost: evil\r\nX-Ok: 1\r\n\r\n"),
    { body: "", trailers: { "x-ok": "1" } },
  ],
  [
    "hop-by-hop fields",
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-One , x-two\r\nKeep-Alive: timeout=5\r\nX-One: 1\r\nX-Two: 2\r\nX-Three: 3\r\nProxy-Connection: close\r\nTE: trailers\r\nUpgrade: websocket\r\n\r\n",
    { lacks: ["x-one", "x-two", "keep-alive", "proxy-connection", "te", "upgrade"], has: { "x-three": "3" } },
  ],
  [
    "framing and Host named in Connection",
    "POST /n HTTP/1.1\r\nHost: a.test\r\nConnection: host, content-length\r\nContent-Length: 2\r\n\r\nok",
    { host: "a.test", body: "ok" },
  ],
  [
    "X-Forwarded-For of earlier hops",
    "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 2.2.2.2\r\n\r\n",
    { has: { "x-forwarded-for": "1.1.1.1, 2.2.2.2, 127.0.0.1" } },
  ],
  [
    "X-Forwarded-For named in Connection",
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: x-forwarded-for\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n",
    { has: { "x-forwarded-for": "127.0.0.1" } },
  ],
  [
    "X-Forwarded-Proto from outside",
    "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: gopher\r\n\r\n",
    { lacks: [], has: {} },
  ],
  [
    "Max-Forwards counts down",
    "OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 3\r\n\r\n",
    { has: { "max-forwards": "2" } },
  ],
  [
    "Max-Forwards of GET stays",
    "GET / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n",
    { has: { "max-forwards": "0" } },
  ],
  ["HTTP/1.0 without Host", "GET /old HTTP/1.0\r\n\r\n", { url: "/old", host: "localhost" }],
  ["HTTP/1.0 with Host", "GET /old HTTP/1.0\r\nHost: h.test\r\n\r\n", { url: "/old", host: "h.test" }],
  ["HTTP/1.0 with a body", "POST /old HTTP/1.0\r\nHost: h\r\nContent-Length: 2\r\n\r\nok", { body: "ok" }],
  [
    "GET with a body",
    "GET /b HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok",
    { method: "GET", body: "ok" },
  ],
];

function chunked(body: string): string {
  return `POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${body}`;
}

/** Answers of an upstream that the client must not see: it gets a 502 instead. */
export const BAD_ANSWERS: readonly (readonly [name: string, answer: string])[] = [
  ["bare LF", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok"],
  ["garbage", "hello\r\n\r\n"],
  ["HTTP/2 version", "HTTP/2 200 OK\r\n\r\n"],
  ["two-digit status", "HTTP/1.1 20 OK\r\n\r\n"],
  ["four-digit status", "HTTP/1.1 2000 OK\r\n\r\n"],
  ["status 099", "HTTP/1.1 099 No\r\n\r\n"],
  ["status 600", "HTTP/1.1 600 No\r\n\r\n"],
  ["status that is no number", "HTTP/1.1 2x0 OK\r\n\r\n"],
  ["NUL in the reason", "HTTP/1.1 200 O\0K\r\nContent-Length: 2\r\n\r\nok"],
  [
    "length and chunked",
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
  ],
  ["differing lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok"],
  ["length that is no number", "HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok"],
  ["unknown encoding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok"],
  ["chunked in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
  ["folded field", "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n"],
  ["NUL in a value", "HTTP/1.1 200 OK\r\nX: a\0\r\nContent-Length: 0\r\n\r\n"],
  ["101 nobody asked for", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"],
  ["big head", `HTTP/1.1 200 OK\r\nX: ${"a".repeat(62_000)}\r\n\r\n`],
  ["endless interim answers", "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n".repeat(2_000)],
];

export interface Relayed {
  /** What the client must get, headers `Date` aside. */
  readonly text: RegExp;
  /** Payload of a chunked answer, when pieces may be cut elsewhere. */
  readonly joined?: string;
  /** Whether the upstream connection may serve again. */
  readonly isReused: boolean;
}

/** Answers and what the client gets of them; each conversation is `GET / HTTP/1.1` unless `request` says otherwise. */
export const RELAYED: readonly (readonly [name: string, answer: string, want: Relayed, request?: string])[] =
  [
    [
      "body by length",
      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
      { text: /^HTTP\/1\.1 200 OK\r\ncontent-length: 2\r\n\r\nok$/, isReused: true },
    ],
    [
      "chunked body",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nok\r\n0\r\n\r\n",
      {
        text: /^HTTP\/1\.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n$/,
        joined: "ok",
        isReused: true,
      },
    ],
    [
      "trailers",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\nContent-Length: 3\r\n\r\n",
      { text: /2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n$/, joined: "ok", isReused: true },
    ],
    [
      "no reason",
      "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
      { text: /^HTTP\/1\.1 200 \r\ncontent-length: 0\r\n\r\n$/, isReused: true },
    ],
    [
      "space before a colon is removed",
      "HTTP/1.1 200 OK\r\nX-A : 1\r\nContent-Length : 2\r\n\r\nok",
      { text: /^HTTP\/1\.1 200 OK\r\nX-A: 1\r\ncontent-length: 2\r\n\r\nok$/, isReused: true },
    ],
    [
      "fields named in Connection",
      "HTTP/1.1 200 OK\r\nConnection: x-a\r\nX-A: 1\r\nX-B: 2\r\nKeep-Alive: timeout=5\r\nContent-Length: 0\r\n\r\n",
      { text: /^HTTP\/1\.1 200 OK\r\nX-B: 2\r\ncontent-length: 0\r\n\r\n$/, isReused: true },
    ],
    [
      "204 states no framing",
      "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
      { text: /^HTTP\/1\.1 204 No Content\r\n\r\n$/, isReused: true },
    ],
    [
      "304 keeps its length and has no body",
      "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
      { text: /^HTTP\/1\.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n$/, isReused: true },
    ],
    [
      "HEAD keeps its length and has no body",
      "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
      { text: /^HTTP\/1\.1 200 OK\r\ncontent-length: 9\r\n\r\n$/, isReused: true },
      "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
    [
      "bytes behind HEAD",
      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
      { text: /^HTTP\/1\.1 200 OK\r\ncontent-length: 2\r\n\r\n$/, isReused: false },
      "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
    [
      "bytes behind 204",
      "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
      { text: /^HTTP\/1\.1 204 No Content\r\n\r\n$/, isReused: false },
    ],
    [
      "bytes behind a body",
      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray",
      { text: /\r\n\r\nok$/, isReused: false },
    ],
    [
      "Connection: close",
      "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
      { text: /^HTTP\/1\.1 200 OK\r\ncontent-length: 2\r\n\r\nok$/, isReused: false },
    ],
    [
      "HTTP/1.0 answer",
      "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
      { text: /^HTTP\/1\.1 200 OK\r\ncontent-length: 2\r\n\r\nok$/, isReused: false },
    ],
    [
      "HTTP/1.0 keep-alive",
      "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
      { text: /^HTTP\/1\.1 200 OK\r\ncontent-length: 2\r\n\r\nok$/, isReused: true },
    ],
    [
      "interim answers",
      "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
      {
        text: /^HTTP\/1\.1 102 Processing\r\n\r\nHTTP\/1\.1 103 Early Hints\r\nLink: <\/a>\r\n\r\nHTTP\/1\.1 200 OK\r\ncontent-length: 2\r\n\r\nok$/,
        isReused: true,
      },
    ],
    [
      "interim answers to HTTP/1.0",
      "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
      { text: /^HTTP\/1\.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok$/, isReused: true },
      "GET / HTTP/1.0\r\n\r\n",
    ],
    [
      "chunked to HTTP/1.0",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: 1\r\n\r\n",
      { text: /^HTTP\/1\.1 200 OK\r\nconnection: close\r\n\r\nok$/, isReused: true },
      "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    ],
    [
      "length to HTTP/1.0 keep-alive",
      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
      {
        text: /^HTTP\/1\.1 200 OK\r\ncontent-length: 2\r\nconnection: keep-alive\r\n\r\nok$/,
        isReused: true,
      },
      "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    ],
  ];
