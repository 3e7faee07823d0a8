import { type Call, mandateOf } from '../call.ts'
import { denials } from '../denial.ts'
import { textClaim } from '../mandate.ts'
import type { Anchors } from '../revocations/set.ts'
import type { Check } from './check.ts'

/**
 * Step 13: none of the mandate's anchors is revoked (gateway §8). From here to the end
 * of the answer the call watches them; check and watch happen in one tick, so nothing
 * slips between.
 */
export const revoked: Check = (call, { revocations }) => {
  const anchors = anchorsOf(call)
  if (revocations.isRevoked(anchors)) return denials.revoked
  call.watch = revocations.watch(anchors, () => {
    call.revoked = true
    call.abort.abort()
  })
  return null
}

/** Step 13, once more after the exchange: what was revoked meanwhile is not dialled. */
export const stillLive: Check = (call) => (call.revoked ? denials.revoked : null)

export function anchorsOf(call: Call): Anchors {
  const { claims } = mandateOf(call)
  const present = (...names: string[]): string[] =>
    [...new Set(names.map((name) => textClaim(claims, name)))].filter((id) => id !== '')
  return {
    records: present('sid', 'root_sid'),
    sessions: present('agent_session_id'),
    delegations: present('delegation_edge_id'),
  }
}
