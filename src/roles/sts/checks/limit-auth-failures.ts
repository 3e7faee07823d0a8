/**
 * H8: an application whose secret was wrong too often is refused for a minute, the
 * right secret included (sts §2.4). Asked before the secret is looked at.
 */

import { LRUCache } from 'lru-cache'
import { sha256Hex } from '../../../platform/crypto/hmac.ts'
import type { Ephemera } from '../../../platform/ephemera/port.ts'
import { rateLimited, unavailable } from '../refusal.ts'

const windowMs = 60_000
const maxFailures = 60

/** For how long a process takes somebody for not blocked. Failures of its own are known at once. */
const trustMs = 1_000

export interface AuthFailureLimit {
  /** Rejects with 429 while the principal is blocked, 503 when that cannot be known. */
  refuseBlocked(principalId: string): Promise<void>
  /** Counts a failed authentication; the one that crosses the limit is answered 429 itself. */
  countFailure(principalId: string): Promise<void>
}

export function createAuthFailureLimit(ephemera: Ephemera): AuthFailureLimit {
  const notBlocked = new LRUCache<string, true>({ max: 10_000, ttl: trustMs })
  return {
    async refuseBlocked(principalId) {
      if (notBlocked.has(principalId)) return
      const blockedUntil = await ask(() => ephemera.get(`${failureKey(principalId)}:blocked`))
      if (blockedUntil !== null) throw rateLimited(remaining(blockedUntil), 'too many failed authentications')
      notBlocked.set(principalId, true)
    },

    async countFailure(principalId) {
      notBlocked.delete(principalId)
      const key = failureKey(principalId)
      const { count } = await ask(() => ephemera.increment(key, windowMs))
      if (count <= maxFailures) return
      await ask(() => ephemera.set(`${key}:blocked`, String(Date.now() + windowMs), windowMs))
      notBlocked.delete(principalId)
      throw rateLimited(windowMs, 'too many failed authentications')
    },
  }
}

function failureKey(principalId: string): string {
  return `auth-rl:${sha256Hex(principalId)}`
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
