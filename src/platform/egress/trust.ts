/** Trust roots for outbound TLS: the system's, plus `CARACAL_TLS_EXTRA_CA_FILE` (gateway §12.5). */
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { rootCertificates } from 'node:tls'

export type EgressTrust =
  | { readonly ok: true; readonly ca: readonly string[] | null }
  /** The bundle cannot be used: every TLS connection must fail. */
  | { readonly ok: false; readonly problem: string }

/** Reads the bundle once. An unreadable or unparseable one does not throw; it closes TLS egress. */
export function loadEgressTrust(extraCaFile: string | null): EgressTrust {
  if (extraCaFile === null) return { ok: true, ca: null }
  try {
    const certificates =
      readFileSync(extraCaFile, 'utf8').match(
        /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g,
      ) ?? []
    if (certificates.length === 0)
      return { ok: false, problem: 'CARACAL_TLS_EXTRA_CA_FILE holds no certificate' }
    for (const pem of certificates) new X509Certificate(pem)
    return { ok: true, ca: [...rootCertificates, ...certificates] }
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unparseable'
    return { ok: false, problem: `CARACAL_TLS_EXTRA_CA_FILE cannot be used (${code})` }
  }
}
