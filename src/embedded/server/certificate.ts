// The server's own certificate: self-signed, for 127.0.0.1 and localhost, trusted through the kubeconfig alone.
import { randomBytes, webcrypto, X509Certificate } from "node:crypto";
export interface Certificate {
  readonly certPem: string;
  readonly keyPem: string;
}

const DAY_MS = 24 * 3_600_000;
const VALID_MS = 3650 * DAY_MS;
/** A certificate that ends sooner than this is replaced at the next start. */
const RENEW_MS = 30 * DAY_MS;

/** Makes a key pair and its certificate, valid from the day before `nowMs` (clocks differ) for ten years. */
export async function createCertificate(nowMs: number): Promise<Certificate> {
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  // Loaded only when a certificate is made, once per state folder. The library's container wants the polyfill first.
  await import("reflect-metadata");
  const x509 = await import("@peculiar/x509");
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: `01${randomBytes(15).toString("hex")}`,
      name: "CN=weir",
      notBefore: new Date(nowMs - DAY_MS),
      notAfter: new Date(nowMs + VALID_MS),
      signingAlgorithm: algorithm,
      keys,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(
          x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyCertSign,
          true,
        ),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
        new x509.SubjectAlternativeNameExtension([
          { type: "ip", value: "127.0.0.1" },
          { type: "dns", value: "localhost" },
        ]),
      ],
    },
    webcrypto,
  );
  const key = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey)).toString("base64");
  const lines = key.match(/.{1,64}/g) ?? [];
  const keyPem = `-----BEGIN PRIVATE KEY-----\n${lines.join("\n")}\n-----END PRIVATE KEY-----\n`;
  return { certPem: `${certificate.toString("pem")}\n`, keyPem };
}

/** Tells whether a stored certificate can be read and lasts for a while yet. */
export function isUsable(certificate: Certificate, nowMs: number): boolean {
  try {
    const { validToDate } = new X509Certificate(certificate.certPem);
    return certificate.keyPem !== "" && validToDate.getTime() - nowMs > RENEW_MS;
  } catch {
    // Damaged: a new one takes its place, and the kubeconfig is written anew.
    return false;
  }
}
