import type { KeyObject } from 'node:crypto'
import { type ParsedJws, verifySignature } from '../../../platform/jose/compact.ts'
import { type Call, mandateOf } from '../call.ts'
import { denials } from '../denial.ts'
import type { Check, Ground, Verdict } from './check.ts'

/**
 * Step 11: signed by a key of the zone it claims (gateway §6). Says nothing about
 * issuer, audience or liveness; the exchange does. Keys that cannot be had deny as unavailable.
 */
export const signature: Check = (call, ground) => {
  if (call.verified) return null
  const { jws } = mandateOf(call)
  if (jws === null) return denials.signature
  const key = ground.zoneKeys.peek(call.zoneId, jws.header.kid)
  return key === undefined ? withFetchedKey(call, ground, jws) : judge(call, ground, jws, key)
}

async function withFetchedKey(call: Call, ground: Ground, jws: ParsedJws): Promise<Verdict> {
  let key: KeyObject | null
  try {
    key = await ground.zoneKeys.find(call.zoneId, jws.header.kid)
  } catch (error) {
    ground.log.warn({ err: error, request_id: call.requestId, zone_id: call.zoneId }, 'zone_keys_unavailable')
    return denials.keysUnavailable
  }
  return judge(call, ground, jws, key)
}

function judge(call: Call, { verified, sts }: Ground, jws: ParsedJws, key: KeyObject | null): Verdict {
  const { digest, claims } = mandateOf(call)
  if (key === null) return denials.signature
  if (sts.signedHere?.(digest) !== true && !verifySignature(jws, key)) return denials.signature
  call.verified = true
  call.firstSeen = true
  verified.add(digest, claims)
  return null
}
