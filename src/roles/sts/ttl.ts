/** How long a mandate lives (sts §4.5): the request, then everything that may only shorten it. */
import { defaultTtlSeconds } from './checks/bound-ttl.ts'
import { controlKeyMaxTtl } from './control-key.ts'
import type { Exchange } from './exchange-state.ts'
import { accessDenied } from './refusal.ts'

/** Whole seconds, at least 1. Rejects with 403 when a bound leaves nothing. */
export function mandateTtl(x: Exchange): number {
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
  const reissueLifeMs = x.approval?.reissueLifeMs
  if (reissueLifeMs !== undefined) bounds.push(reissueLifeMs / 1000)
  const ttl = Math.floor(Math.min(...bounds))
  if (!(ttl > 0)) throw accessDenied('the delegation leaves no time to live')
  return ttl
}
