import type { Denial } from '../denial.ts'
import type { Check, Verdict } from './check.ts'

/** In front of everything that costs: too many requests of one address. */
export const ipWithinLimit: Check = (call, { limits }) =>
  verdict(limits.admitIp(call.clientIp), 'GATEWAY_RATE_LIMIT_PER_IP_PER_MIN')

/**
 * After the signature, so that nobody can spend another application's share with
 * forged tokens, and before the mandate is used up.
 */
export const applicationWithinLimit: Check = (call, { limits }) =>
  verdict(
    limits.admitApplication(call.zoneId, call.applicationId),
    'GATEWAY_RATE_LIMIT_PER_APPLICATION_PER_MIN',
  )

function verdict(waitSeconds: number, variable: string): Verdict {
  if (waitSeconds === 0) return null
  const denial: Denial = {
    status: 429,
    code: 'rate_limited',
    description: `too many requests; the limit is ${variable}`,
    counter: 'denials_rate_limited',
    headers: { 'Retry-After': String(waitSeconds) },
  }
  return denial
}
