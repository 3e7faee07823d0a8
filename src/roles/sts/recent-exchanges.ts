/**
 * What the last exchange of a session with its delegation read, for the next one of the same: agents mint and
 * call again and again on one delegation, and between two calls hardly ever anything changes. An exchange decided
 * on it proves at its write, in the same statement, that nothing did (`premise`, and its basis as always); whatever
 * else becomes of it, a refusal first of all, it is decided again on a snapshot. So only a mandate ever comes of
 * what is remembered, and never one that a snapshot at the time of its write would not have given.
 *
 * Not proved by the write, and therefore short: which key signs (a key takes over at an instant, not by a change).
 */
import { LRUCache } from 'lru-cache'
import { sha256Hex } from '../../platform/crypto/hmac.ts'
import { createShortMemory } from '../../platform/short-memory.ts'
import type { ApplicationDefinition, ResourceDefinition } from './definitions.ts'
import type { Exchange, ExchangeRequest } from './exchange-state.ts'
import type { RecordState, Snapshot } from './store/snapshot.ts'

/** What an exchange begins with. */
export type Recalled = Pick<Exchange, 'zoneId' | 'snapshot' | 'application' | 'resources' | 'premise'>

export interface RecentExchanges {
  /** `null`: the exchange has to read. The caller of a request that is recalled has authenticated with the same secret. */
  recall(request: ExchangeRequest): Recalled | null
  /** After a mandate was issued. */
  keep(x: Exchange): void
  /** After the premise was found fallen: for a moment everything of that zone is read. */
  unsettle(request: ExchangeRequest): void
}

const keptForMs = 10_000
const unsettledForMs = 1_000
/** The write refuses a clock that differs by two seconds; an application that is about to end is read. */
const applicationMarginMs = 2_000

interface Kept {
  readonly snapshot: Snapshot
  readonly application: ApplicationDefinition
  readonly resources: ReadonlyMap<string, ResourceDefinition>
  /** SHA-256 of the secret the application authenticated with, `null` when nobody did. */
  readonly secretDigest: string | null
}

export function createRecentExchanges(): RecentExchanges {
  const kept = createShortMemory<Kept>({ max: 5_000, ms: keptForMs })
  /** The newest state seen of each zone: what was kept on another one is passed over. */
  const newest = new LRUCache<string, string>({ max: 5_000 })
  const unsettled = new LRUCache<string, true>({ max: 5_000, ttl: unsettledForMs })

  return {
    recall(request) {
      const named = whatIsNamed(request)
      if (named === null || unsettled.has(request.zoneId)) return null
      const entry = kept.get(named.key)
      if (entry === undefined || stateOf(entry.snapshot) !== newest.get(request.zoneId)) return null
      if (request.gateway === null && entry.secretDigest !== sha256Hex(request.clientSecret ?? ''))
        return null
      const { snapshot } = entry
      const age = performance.now() - snapshot.readAt
      if (age > keptForMs) return null
      const now = snapshot.now + age
      const ending = snapshot.application_expires_at
      if (ending !== null && now > ending - applicationMarginMs) return null
      return {
        zoneId: request.zoneId,
        snapshot: { ...snapshot, now, record: named.record },
        application: entry.application,
        resources: entry.resources,
        premise: { definitions: snapshot.definitions as string, epoch: snapshot.epoch },
      }
    },

    keep(x) {
      const named = whatIsNamed(x.request)
      if (named === null || x.snapshot.definitions === null) return
      const before = kept.get(named.key)
      const sameDefinitions = before?.snapshot.definitions === x.snapshot.definitions
      newest.set(x.zoneId, stateOf(x.snapshot))
      kept.set(named.key, {
        snapshot: x.snapshot,
        application: x.application,
        resources: x.resources,
        secretDigest:
          x.request.gateway === null
            ? sha256Hex(x.request.clientSecret ?? '')
            : sameDefinitions
              ? before.secretDigest
              : null,
      })
    },

    unsettle(request) {
      newest.delete(request.zoneId)
      unsettled.set(request.zoneId, true)
    },
  }
}

/** Definitions and graph of the zone. */
const stateOf = ({ definitions, epoch }: Snapshot): string => `${definitions} ${epoch}`

interface Named {
  readonly key: string
  /** The record a verified mandate names, as its write will prove it to be. */
  readonly record: RecordState | null
}

/** `null` for every exchange whose write does not prove all it rests on. */
function whatIsNamed(request: ExchangeRequest): Named | null {
  if (request.zoneId === '' || request.sessionId !== null || request.approvalId !== null) return null
  if (request.gateway !== null) {
    const claims = request.verifiedClaims ?? {}
    const { agent_session_id: session, delegation_edge_id: edge } = claims
    const record = recordOf(claims)
    if (typeof session !== 'string' || typeof edge !== 'string' || record === null) return null
    return { key: keyOf(request, session, edge), record }
  }
  const { agentSessionId, delegationEdgeId } = request
  if (request.subjectToken !== null || agentSessionId === null || delegationEdgeId === null) return null
  return { key: keyOf(request, agentSessionId, delegationEdgeId), record: null }
}

function keyOf({ zoneId, applicationId, resources }: ExchangeRequest, session: string, edge: string): string {
  return [zoneId, applicationId, session, edge, ...resources].join('\0')
}

function recordOf(claims: Readonly<Record<string, unknown>>): RecordState | null {
  const { sid, sub, sub_type: subType, exp } = claims
  if (typeof sid !== 'string' || typeof sub !== 'string' || typeof exp !== 'number') return null
  return {
    id: sid,
    session_type: subType === 'user' ? 'user' : 'application',
    subject_id: sub,
    status: 'active',
    expires_at: exp * 1000,
  }
}
