/** The certificate of the gateway's listener: from its files, and from them again when they were replaced. */
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createSecureContext, type SecureContextOptions } from 'node:tls'
import type { Settings } from '../config/env.ts'
import { ConfigError } from '../config/load.ts'
import type { Job } from '../platform/jobs/job.ts'

/** PEM, the chain behind the certificate included. */
export interface Certificate {
  readonly cert: Buffer
  readonly key: Buffer
}

type CertificateSettings = Pick<Settings, 'TLS_CERT_FILE' | 'TLS_KEY_FILE'>

const renewEveryMs = 60_000

/** `null` where none is configured. Throws `ConfigError` when the files do not hold one and its key. */
export function readCertificate(settings: CertificateSettings): Certificate | null {
  const { TLS_CERT_FILE: certFile, TLS_KEY_FILE: keyFile } = settings
  if (certFile === null || keyFile === null) return null
  const cert = read('TLS_CERT_FILE', certFile)
  const key = read('TLS_KEY_FILE', keyFile)
  // One after the other, since a context of both does not say which of them it could not use.
  assertUsable({ cert }, `TLS_CERT_FILE: ${certFile} holds no certificate that can be used`)
  assertUsable({ key }, `TLS_KEY_FILE: ${keyFile} holds no key that can be used`)
  assertUsable({ cert, key }, `TLS_KEY_FILE: ${keyFile} is not the key of TLS_CERT_FILE, ${certFile}`)
  return { cert, key }
}

/**
 * Hands on what the files hold once they hold something else. Files that cannot be used, such as those of which
 * one is replaced already, are a failed run, and what was used before stays in use.
 */
export function renewCertificate(
  settings: CertificateSettings,
  used: Certificate,
  use: (certificate: Certificate) => void,
): Job {
  let current = used
  return {
    name: 'renew_certificate',
    intervalMs: renewEveryMs,
    async run({ log }) {
      const found = readCertificate(settings)
      if (found === null || (found.cert.equals(current.cert) && found.key.equals(current.key))) return
      use(found)
      current = found
      log.info(
        { valid_to: new Date(new X509Certificate(found.cert).validTo).toISOString() },
        'certificate_renewed',
      )
    },
  }
}

function read(variable: string, file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (error) {
    throw new ConfigError([`${variable}: ${file} cannot be read (${(error as NodeJS.ErrnoException).code})`])
  }
}

function assertUsable(options: SecureContextOptions, problem: string): void {
  try {
    createSecureContext(options)
  } catch (error) {
    const { reason, code } = error as { reason?: string; code?: string }
    throw new ConfigError([`${problem} (${reason ?? code})`])
  }
}
