/**
 * H8: an application whose secret was wrong too often is refused for a minute, the
 * right secret included (sts §2.4). Asked before the secret is looked at.
 */

import { sha256Hex } from '../../../platform/crypto/hmac.ts'
import type { Ephemera } from '../../../platform/ephemera/port.ts'
import { rateLimited, unavailable } from '../refusal.ts'

const windowMs = 60_000
const maxFailures = 60

function failureKey(principalId: string): string {
  return `auth-rl:${sha256Hex(principalId)}`
}

/** Rejects with 429 while the principal is blocked, 503 when that cannot be known. */
export async function refuseBlocked(ephemera: Ephemera, applicationId: string): Promise<void> {
  const blockedUntil = await ask(() => ephemera.get(`${failureKey(applicationId)}:blocked`))
  if (blockedUntil !== null) throw rateLimited(remaining(blockedUntil), 'too many failed authentications')
}

/** Counts a failed authentication; the one that crosses the limit is answered 429 itself. */
export async function countFailure(ephemera: Ephemera, applicationId: string): Promise<void> {
  const key = failureKey(applicationId)
  const { count } = await ask(() => ephemera.increment(key, windowMs))
  if (count <= maxFailures) return
  await ask(() => ephemera.set(`${key}:blocked`, String(Date.now() + windowMs), windowMs))
  throw rateLimited(windowMs, 'too many failed authentications')
}

async function ask<T>(question: () => Promise<T>): Promise<T> {
  try {
    return await question()
  } catch (error) {
    throw unavailable('rate counters are unavailable', error)
  }
}

function remaining(blockedUntil: string): number {
  const until = Number(blockedUntil)
  return Number.isFinite(until) ? Math.min(windowMs, Math.max(1, until - Date.now())) : windowMs
}
