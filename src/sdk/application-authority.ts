/**
 * The authority an application gives itself for one resource: two sessions and a delegation
 * between them, made once and reused by every call until shortly before they end
 * (sdk-cli-console §2, §4.4).
 */
import { randomUUID } from 'node:crypto'
import type { TokenSource } from './context.ts'
import { type ClientCore, callWith, endSession } from './core.ts'
import { orAborted } from './deadline.ts'
import type { Exchanger } from './exchanger.ts'
import { lifecycleTokens } from './lifecycle-tokens.ts'
import { fingerprint } from './oauth/token-cache.ts'

interface AuthorityRequest {
  readonly resourceId: string
  readonly scopes: readonly string[]
  readonly labels: readonly string[] | undefined
  readonly mandateTtlSeconds: number
}

interface ApplicationAuthority {
  readonly zoneId: string
  readonly applicationId: string
  readonly sessionId: string
  readonly delegationId: string
}

export interface ApplicationAuthorities {
  acquire(request: AuthorityRequest, signal?: AbortSignal | null): Promise<ApplicationAuthority>
  /** The server does not accept it any more: the next call makes a new one. */
  discard(authority: ApplicationAuthority): void
  /** Ends everything that was made; failures are warned of. */
  close(): Promise<void>
}

interface Provisioned extends ApplicationAuthority {
  readonly sessions: readonly string[]
  readonly tokens: TokenSource
  readonly expiresAt: number
  readonly madeAt: number
}

const graceSeconds = 120
const renewBeforeMs = 60_000
const mostEntries = 19
const discardAfterMs = 30_000

export function createApplicationAuthorities(core: ClientCore, exchanger: Exchanger): ApplicationAuthorities {
  const ready = new Map<string, Provisioned>()
  /** Replaced, and left to run out: calls that began under them still need them. */
  const outgoing = new Set<Provisioned>()
  const underway = new Map<string, Promise<Provisioned>>()
  let last: Promise<unknown> = Promise.resolve()
  let closed = false

  async function end(zoneId: string, sessions: readonly string[], tokens: TokenSource): Promise<void> {
    await Promise.all(
      sessions.map((sessionId) =>
        endSession(core, tokens, { zoneId, sessionId }).catch((error) =>
          core.warn(`session ${sessionId} could not be ended`, error),
        ),
      ),
    )
  }

  const retire = (key: string, entry: Provisioned) => {
    ready.delete(key)
    core.background(end(entry.zoneId, entry.sessions, entry.tokens))
  }

  function makeRoom(): void {
    for (const entry of outgoing) if (entry.expiresAt <= Date.now()) outgoing.delete(entry)
    for (const [key, entry] of ready) if (entry.expiresAt <= Date.now()) retire(key, entry)
    for (const [key, entry] of ready) {
      if (ready.size < mostEntries) return
      retire(key, entry)
    }
  }

  async function provision(request: AuthorityRequest): Promise<Provisioned> {
    const assertWanted = () => {
      if (closed) core.assertOpen()
    }
    assertWanted()
    const { zoneId, applicationId } = await exchanger.identity()
    const tokens = lifecycleTokens(exchanger, [request.resourceId])
    const ttlSeconds = request.mandateTtlSeconds + graceSeconds
    const madeAt = Date.now()
    const sessions: string[] = []
    const start = async () => {
      assertWanted()
      const { sessionId } = await callWith(tokens, { zoneId }, (call) =>
        core.coordinator.startSession(
          call,
          {
            application_id: applicationId,
            ttl_seconds: ttlSeconds,
            labels: request.labels ?? [applicationId],
          },
          { key: randomUUID(), generated: false },
        ),
      )
      sessions.push(sessionId)
      return sessionId
    }
    try {
      const source = await start()
      const sessionId = await start()
      assertWanted()
      const { delegationId, expiresAt } = await callWith(tokens, { zoneId }, (call) =>
        core.coordinator.createDelegation(call, {
          issuer_application_id: applicationId,
          source_session_id: source,
          target_session_id: sessionId,
          receiver_application_id: applicationId,
          scopes: request.scopes,
          constraints: { resources: [request.resourceId] },
          ttl_seconds: ttlSeconds,
        }),
      )
      const ends = [madeAt + ttlSeconds * 1000, expiresAt === undefined ? Number.NaN : Date.parse(expiresAt)]
      return {
        zoneId,
        applicationId,
        sessionId,
        delegationId,
        sessions,
        tokens,
        madeAt,
        expiresAt: Math.min(...ends.filter((at) => !Number.isNaN(at))),
      }
    } catch (error) {
      await end(zoneId, sessions, tokens)
      throw error
    }
  }

  return {
    async acquire(request, signal) {
      const identity = await exchanger.identity()
      const key = fingerprint(
        identity.zoneId,
        identity.applicationId,
        await exchanger.fingerprint(),
        JSON.stringify([
          request.resourceId,
          request.scopes,
          request.labels ?? null,
          request.mandateTtlSeconds,
        ]),
      )
      const known = ready.get(key)
      if (known !== undefined && known.expiresAt - Date.now() > renewBeforeMs) return known
      if (known !== undefined) {
        ready.delete(key)
        outgoing.add(known)
      }
      const flight = underway.get(key)
      if (flight !== undefined) return orAborted(flight, signal)
      core.assertOpen()
      // One at a time for the whole client: a burst of first calls must not take all session slots at once.
      const made = last.then(async () => {
        const entry = await provision(request)
        makeRoom()
        ready.set(key, entry)
        return entry
      })
      const settled = made.finally(() => underway.delete(key))
      last = settled.catch(() => undefined)
      underway.set(key, settled)
      return orAborted(settled, signal)
    },
    discard(authority) {
      for (const [key, entry] of ready) {
        const same = entry.delegationId === authority.delegationId
        // A young one that is refused is refused by policy: making it again would change nothing.
        if (same && Date.now() - entry.madeAt > discardAfterMs) retire(key, entry)
      }
    },
    async close() {
      closed = true
      await last
      const entries = [...ready.values(), ...outgoing]
      ready.clear()
      outgoing.clear()
      await Promise.all(entries.map((entry) => end(entry.zoneId, entry.sessions, entry.tokens)))
    },
  }
}
