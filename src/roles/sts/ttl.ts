/** How long a mandate lives (sts §4.5): the request, then everything that may only shorten it. */
import { defaultTtlSeconds } from './checks/bound-ttl.ts'
import { controlKeyMaxTtl } from './control-key.ts'
import type { Exchange } from './exchange-state.ts'
import { accessDenied } from './refusal.ts'

/** Unix seconds, and how many of them are left. */
export interface MandateLife {
  readonly issuedAt: number
  readonly expiresAt: number
  readonly expiresIn: number
}

/** Rejects with 403 when a bound leaves nothing. */
export function mandateLife(x: Exchange): MandateLife {
  const now = Math.floor(x.snapshot.now / 1000)
  const reissue = x.approval?.reissue ?? null
  if (reissue !== null) {
    const expiresAt = Math.floor(reissue.expiresAt / 1000)
    return { issuedAt: Math.floor(reissue.issuedAt / 1000), expiresAt, expiresIn: expiresAt - now }
  }
  const expiresIn = mandateTtl(x)
  return { issuedAt: now, expiresAt: now + expiresIn, expiresIn }
}

/** Whole seconds, at least 1. */
function mandateTtl(x: Exchange): number {
  const { now } = x.snapshot
  const bounds = [x.request.ttlSeconds === 0 ? defaultTtlSeconds : x.request.ttlSeconds]
  if (x.delegation !== null) {
    const { lineage, constraints } = x.delegation
    // Every edge of the lineage carries the mandate, so none may be outlived.
    for (const edge of lineage) bounds.push((edge.expires_at - now) / 1000)
    if (constraints.ttlSeconds !== null) bounds.push(constraints.ttlSeconds)
    if (constraints.expiresAt !== null) bounds.push((constraints.expiresAt - now) / 1000)
  }
  if (x.granted.some((grant) => grant.byControlKey)) {
    const limit = controlKeyMaxTtl(x.application)
    if (limit !== null) bounds.push(limit)
  }
  const ttl = Math.floor(Math.min(...bounds))
  if (!(ttl > 0)) throw accessDenied('the delegation leaves no time to live')
  return ttl
}
