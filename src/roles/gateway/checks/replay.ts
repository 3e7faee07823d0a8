import { mandateOf } from '../call.ts'
import { denials } from '../denial.ts'
import { replayDetected } from '../events.ts'
import { textClaim } from '../mandate.ts'
import type { Check } from './check.ts'
import { exchangeRequest } from './exchange.ts'

/**
 * Step 12: one use per mandate, claimed before anything that costs (gateway §7,
 * storage-and-operations §7.4). One trip to the replay memory; a memory that
 * cannot be asked, or that is younger than the mandate, denies. A mandate replayed
 * over and over is refused here without a trip and without further evidence. Beside the claim of
 * a mandate that was never seen here the exchange begins to read what it will need if the claim holds.
 */
export const replay: Check = async (call, { ephemera, limits, settings, audit, log, sts }) => {
  const { claims, digest } = mandateOf(call)
  if (limits.isWornOut(digest)) return denials.replayed
  const jti = textClaim(claims, 'jti')
  if (jti === '') return denials.replayed
  const issuedAt = typeof claims.iat === 'number' && Number.isSafeInteger(claims.iat) ? claims.iat : null
  if (issuedAt === null && !settings.JTI_FAIL_OPEN) return denials.predatesMemory
  const ttlMs = Math.max(1, Math.ceil(claims.exp * 1000 - Date.now()))
  try {
    const key = `seen:jti:${jti}`
    if (call.firstSeen) call.exchanging = sts.readAhead?.(exchangeRequest(call, undefined)) ?? null
    const outcome = await ephemera.replay.claim(key, call.requestId, ttlMs, issuedAt)
    if (outcome === 'fresh') return null
    if (outcome === 'predates_memory') return settings.JTI_FAIL_OPEN ? null : denials.predatesMemory
    limits.countReplay(digest)
    audit.tell(replayDetected(call, jti))
    return denials.replayed
  } catch (error) {
    log.warn({ err: error, request_id: call.requestId, zone_id: call.zoneId }, 'replay_memory_unavailable')
    return settings.JTI_FAIL_OPEN ? null : denials.replayUnavailable
  }
}
