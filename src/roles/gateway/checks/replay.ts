import type { ClaimOutcome, OneUse } from '../../../platform/ephemera/port.ts'
import type { UseNotClaimed } from '../../sts/port.ts'
import { type Call, mandateOf } from '../call.ts'
import { type Denial, denials } from '../denial.ts'
import { replayDetected } from '../events.ts'
import { textClaim } from '../mandate.ts'
import { bodySize } from './body-size.ts'
import type { Check, Ground, Verdict } from './check.ts'
import { exchangeRequest } from './exchange-request.ts'
import { anchorsOf } from './revoked.ts'

/**
 * Step 12: one use per mandate, claimed before anything that costs (gateway §7,
 * storage-and-operations §7.4). One trip to the replay memory; a memory that
 * cannot be asked, or that is younger than the mandate, denies. A mandate replayed
 * over and over is refused here without a trip and without further evidence. Beside the claim of
 * a mandate that was never seen here the exchange begins to read what it will need if the claim holds.
 * Where the write of the exchange is all that costs, it makes the claim: both or none, in one trip.
 */
export const replay: Check = async (call, ground) => {
  const { ephemera, limits, settings, log, sts } = ground
  const { claims, digest } = mandateOf(call)
  if (limits.isWornOut(digest)) return denials.replayed
  const jti = textClaim(claims, 'jti')
  if (jti === '') return denials.replayed
  const issuedAt = typeof claims.iat === 'number' && Number.isSafeInteger(claims.iat) ? claims.iat : null
  if (issuedAt === null && !settings.JTI_FAIL_OPEN) return denials.predatesMemory
  const ttlMs = Math.max(1, Math.ceil(claims.exp * 1000 - Date.now()))
  const key = `seen:jti:${jti}`
  const value = call.requestId
  if (issuedAt !== null && isLeftToExchange(call, ground, { key, value, ttlMs, issuedAt })) return null
  try {
    if (call.firstSeen) call.exchanging = sts.readAhead?.(exchangeRequest(call, undefined)) ?? null
    return judgeClaim(call, ground, await ephemera.replay.claim(key, value, ttlMs, issuedAt))
  } catch (error) {
    const denial = memoryAway(call, log, error)
    return settings.JTI_FAIL_OPEN ? null : denial
  }
}

/** Only where nothing between here and the exchange could refuse what ought to have been claimed. */
function isLeftToExchange(call: Call, ground: Ground, use: OneUse): boolean {
  const { settings, breaker, revocations, sts } = ground
  if (!call.firstSeen || settings.JTI_FAIL_OPEN || breaker.open) return false
  // Asked first: a busy store says no at once, and what is asked next is asked again at step 13.
  const exchanging = sts.exchangeOnce?.(exchangeRequest(call, undefined), use) ?? null
  if (exchanging === null || revocations.isRevoked(anchorsOf(call)) || bodySize(call, ground) !== null)
    return false
  call.exchanging = exchanging
  return true
}

/** A claim that was left to the exchange, judged as one made here. */
export function judgeLostClaim(call: Call, ground: Ground, { outcome, cause }: UseNotClaimed): Verdict {
  return outcome === 'unknown' ? memoryAway(call, ground.log, cause) : judgeClaim(call, ground, outcome)
}

/** What a claim means to the call; a replay is counted and told. */
function judgeClaim(
  call: Call,
  { limits, settings, audit }: Pick<Ground, 'limits' | 'settings' | 'audit'>,
  outcome: ClaimOutcome,
): Verdict {
  if (outcome === 'fresh') return null
  if (outcome === 'predates_memory') return settings.JTI_FAIL_OPEN ? null : denials.predatesMemory
  const { claims, digest } = mandateOf(call)
  limits.countReplay(digest)
  audit.tell(replayDetected(call, textClaim(claims, 'jti')))
  return denials.replayed
}

/** The replay memory could not be asked. */
function memoryAway(call: Call, log: Ground['log'], error: unknown): Denial {
  log.warn({ err: error, request_id: call.requestId, zone_id: call.zoneId }, 'replay_memory_unavailable')
  return denials.replayUnavailable
}
