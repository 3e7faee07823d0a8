/**
 * Secrets that dev mode makes for itself, and secrets that come from files.
 * A generated secret is created once and then only read: two processes that
 * start at the same moment end up with the same one (sdk-cli-console §12.3).
 */
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'

/** Variable → file name and number of random bytes. The names are read by other tools: keep them. */
export const generatedSecrets = {
  CARACAL_ADMIN_TOKEN: { file: 'caracalAdminToken', bytes: 32 },
  CARACAL_COORDINATOR_TOKEN: { file: 'caracalCoordinatorToken', bytes: 32 },
  SECRET_STORE_KEK: { file: 'secretStoreKek', bytes: 32 },
  AUDIT_HMAC_KEY: { file: 'auditHmacKey', bytes: 32 },
  STREAMS_HMAC_KEY: { file: 'streamsHmacKey', bytes: 32 },
  IDEMPOTENCY_HMAC_KEY: { file: 'idempotencyHmacKey', bytes: 32 },
  GATEWAY_STS_HMAC_KEY: { file: 'gatewayStsHmacKey', bytes: 32 },
} as const

/** The login of the embedded store: a cluster whose file is gone gets another at its next start. */
export const storePassword = { file: 'postgresPassword', bytes: 24 } as const

export type GeneratedSecret = keyof typeof generatedSecrets

/** Reads the secret `file` of `directory`, making directory (0700) and file (0600) when they do not exist. */
export function readOrCreateSecret(directory: string, file: string, bytes: number): string {
  ensurePrivateDirectory(directory)
  const path = join(directory, file)
  const existing = readSecret(path)
  if (existing !== null) return existing
  // A link appears with its whole content and fails when another process was first.
  const fresh = `${path}.${process.pid}.${randomBytes(6).toString('hex')}`
  try {
    writeFileSync(fresh, randomBytes(bytes).toString('hex'), { mode: 0o600, flag: 'wx' })
    try {
      linkSync(fresh, path)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
  } finally {
    rmSync(fresh, { force: true })
  }
  const settled = readSecret(path)
  if (settled === null) throw new Error(`${path} is empty`)
  return settled
}

/** Creates `directory` for its owner only and tightens one that others could enter. */
function ensurePrivateDirectory(directory: string): void {
  makeDirectory(directory, 0o700)
  if (process.platform !== 'win32' && (statSync(directory).mode & 0o077) !== 0) chmodSync(directory, 0o700)
}

/** Makes `directory` and what is missing above it. Node's own recursive form never returns on some filesystems (/proc). */
export function makeDirectory(directory: string, mode: number): void {
  if (existsSync(directory)) return
  const parent = dirname(directory)
  if (parent !== directory) makeDirectory(parent, mode)
  try {
    mkdirSync(directory, { mode })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}

function readSecret(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim() || null
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}
