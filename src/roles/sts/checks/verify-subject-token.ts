/**
 * Steps E1–E2: the presented mandate is ours, for this zone, of the class this
 * caller may present, and names its authority record. A mandate whose signature
 * the gateway checked in this very process is not checked a second time; every
 * other rule still applies.
 */

import type { ExchangeDeps } from '../exchange-deps.ts'
import type { Exchange, PresentedMandate } from '../exchange-state.ts'
import { accessDenied, invalidToken, unavailable } from '../refusal.ts'
import { verifyMandate } from '../verify-mandate.ts'

export async function verifySubjectToken(x: Exchange, deps: ExchangeDeps): Promise<void> {
  const { subjectToken, verifiedClaims, gateway } = x.request
  if (subjectToken === null) return
  const claims = await verifyMandate(
    {
      token: subjectToken,
      verifiedClaims,
      zoneId: x.zoneId,
      issuer: deps.issuer,
      now: x.snapshot.now,
      use: gateway === null ? 'session' : 'gateway',
    },
    deps.keys,
  )
  const sid = claims.sid
  if (typeof sid !== 'string' || sid === '')
    throw invalidToken('subject_token names no authority record', 403)
  x.presented = presentedMandate(claims, sid)
  if (gateway !== null && verifiedClaims === null) await assertRemembered(x.presented, deps)
}

/**
 * A gateway in another process keeps its nonces in the replay memory: a mandate older
 * than that memory may have been used before it (sts §2.5 step 5). In one process the
 * gateway judged the mandate's own marker already.
 */
async function assertRemembered(presented: PresentedMandate, deps: ExchangeDeps): Promise<void> {
  let remembered: boolean
  try {
    remembered = await deps.ephemera.replay.remembers(presented.issuedAt)
  } catch (error) {
    throw unavailable('replay memory is unavailable', error)
  }
  if (!remembered) {
    throw accessDenied('mandate predates the replay memory', 401, { detail: 'replay memory is younger' })
  }
}

function presentedMandate(claims: Readonly<Record<string, unknown>>, sid: string): PresentedMandate {
  return {
    claims,
    use: claims.use as 'session' | 'gateway',
    sub: text(claims.sub) ?? '',
    subType: text(claims.sub_type) ?? 'application',
    sid,
    rootSid: text(claims.root_sid),
    scope: text(claims.scope) ?? '',
    issuedAt: claims.iat as number,
  }
}

function text(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null
}
