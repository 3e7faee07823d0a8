/**
 * Remembers who proved what for five seconds, never past the credential's own end (control-api §12.1).
 * A change of a principal is told on `caracal.iam.invalidate` and forgets it in every process at once; a
 * message that is lost costs those five seconds and nothing more. Failures are never remembered, and
 * nothing of a proof leaves this process, so there is no second place a revocation would have to reach.
 */
import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { StreamEntry } from '../../platform/bus/port.ts'
import { verifyEntry } from '../../platform/bus/signature.ts'
import type { Control } from './control.ts'
import { iamStream } from './events.ts'
import type { Principal } from './principal.ts'

type CredentialKind = 'admin_token' | 'api_key' | 'login'

export interface ProvenPrincipals {
  /** The principal remembered for the credential, or what `work` finds; concurrent callers share one proof. */
  prove(
    kind: CredentialKind,
    credential: string,
    work: () => Promise<Principal | null>,
  ): Promise<Principal | null>
  /** Hears of changes from now until the disposal of what it answers. */
  follow(): Promise<AsyncDisposable>
}

const REMEMBER_MS = 5000
const ENTRIES = 1024

export function createProvenPrincipals({
  bus,
  keys,
  log,
  tokens,
}: Pick<Control, 'bus' | 'keys' | 'log'> & {
  readonly tokens: Pick<Control['tokens'], 'forget'>
}): ProvenPrincipals {
  const proven = new LRUCache<string, Principal>({ max: ENTRIES })
  const inFlight = new Map<string, Promise<Principal | null>>()
  /** Counts changes: a proof that began before one may rest on what the change ended. */
  let changes = 0

  function remember(key: string, principal: Principal): void {
    const left = principal.expiresAt === null ? REMEMBER_MS : principal.expiresAt - Date.now()
    if (left > 0) proven.set(key, principal, { ttl: Math.min(REMEMBER_MS, left) })
  }

  function forget(principalId: string | null): void {
    changes += 1
    inFlight.clear()
    if (principalId === null) {
      tokens.forget()
      proven.clear()
    }
    for (const [key, principal] of proven.entries()) {
      if (principal.id === principalId || principal.accountId === principalId) proven.delete(key)
    }
  }

  function apply(entry: StreamEntry): void {
    if (!verifyEntry(keys.streams, entry.stream, entry.fields)) {
      log.warn({ stream: entry.stream, entry: entry.id }, 'stream_signature_invalid')
      return
    }
    forget(entry.fields.principal_id ?? null)
  }

  return {
    async prove(kind, credential, work) {
      const key = `${kind}:${createHash('sha256').update(credential).digest('base64')}`
      const running = inFlight.get(key)
      if (running !== undefined) return running
      const known = proven.get(key)
      if (known !== undefined) return known
      const began = changes
      const attempt = work()
        .then((principal) => {
          if (principal !== null && began === changes) remember(key, principal)
          return principal
        })
        .finally(() => {
          if (inFlight.get(key) === attempt) inFlight.delete(key)
        })
      inFlight.set(key, attempt)
      return attempt
    },
    follow: () =>
      bus.tail({
        streams: [iamStream],
        from: 'end',
        onEntries: (entries) => entries.forEach(apply),
        onGap: () => forget(null),
      }),
  }
}
