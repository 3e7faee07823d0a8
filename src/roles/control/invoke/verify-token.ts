/** The one-use STS token of a Control call (control-api §9.4, steps 3 and 4). */

import type { JWK } from 'jose'
import { idPattern } from '../../../platform/ids.ts'
import { createKeySet, KeySetUnavailable } from '../../../platform/jose/key-set.ts'
import { createMandateVerifier } from '../../../platform/jose/mandate-verifier.ts'
import type { Control } from '../control.ts'
import { refuse } from './refusal.ts'

export interface ControlToken {
  readonly subject: string
  readonly clientId: string
  readonly jti: string
  readonly zoneId: string
  /** The authority record it was minted under. */
  readonly recordId: string
  readonly scopes: readonly string[]
}

const TOLERANCE_SECONDS = 60

const text = (value: unknown): string => (typeof value === 'string' ? value : '')
const unauthorized = (evidence: string) =>
  refuse('unauthorized', 'the token is not valid', { evidence: `auth: ${evidence}` })

function audiences(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [value]
}

export interface TokenVerifier {
  /** Proves and burns the token: it is spent whatever happens afterwards. Throws `unauthorized` or `token_replay`. */
  accept(bearer: string | null): Promise<ControlToken>
}

export function createTokenVerifier(control: Control): TokenVerifier {
  const { settings, sts } = control
  const verifier = createMandateVerifier({
    keys: createKeySet({
      source: async (zoneId): Promise<JWK[] | null> => {
        const keys = (await sts?.zoneKeys(zoneId)) ?? null
        return keys === null ? null : [...keys]
      },
    }),
  })
  const issuer = settings.STS_ISSUER_URL ?? settings.ISSUER_URL

  /** Claims of a token that is for this audience and alive. */
  function checkClaims(claims: Readonly<Record<string, unknown>>): {
    token: ControlToken
    exp: number
    iat: number
  } {
    const now = Date.now() / 1000
    const { iss, aud, exp, iat, jti, sub, use, zone_id: zoneId } = claims
    if (issuer === null || iss !== issuer) throw unauthorized('issuer')
    if (!audiences(aud).includes(settings.CONTROL_AUDIENCE)) throw unauthorized('audience')
    if (use !== 'resource') throw unauthorized('use')
    if (typeof exp !== 'number' || typeof iat !== 'number') throw unauthorized('times')
    if (exp <= now - TOLERANCE_SECONDS || iat > now + TOLERANCE_SECONDS) throw unauthorized('expired')
    if (text(jti) === '' || text(sub) === '') throw unauthorized('identity')
    if (!idPattern.test(text(zoneId))) throw unauthorized('zone')
    const token = {
      subject: text(sub),
      clientId: text(claims.client_id),
      jti: text(jti),
      zoneId: text(zoneId),
      recordId: text(claims.sid),
      scopes: text(claims.scope)
        .split(' ')
        .filter((scope) => scope !== ''),
    }
    return { token, exp, iat }
  }

  async function burn(token: ControlToken, exp: number, iat: number): Promise<void> {
    const lifeMs = Math.min(exp - Date.now() / 1000, settings.CONTROL_REPLAY_TTL_SEC) * 1000
    if (lifeMs <= 0) throw refuse('token_replay', 'the token has expired', { evidence: 'replay' })
    const outcome = await control.ephemera.replay
      .claim(`caracal:control:jti:${token.jti}`, '1', Math.ceil(lifeMs), iat)
      .catch((cause: unknown) => {
        throw refuse('token_replay', 'the token cannot be proved unused', { evidence: 'replay', cause })
      })
    if (outcome !== 'fresh') throw refuse('token_replay', 'the token has been used', { evidence: 'replay' })
  }

  return {
    async accept(bearer) {
      if (bearer === null || sts === null) throw unauthorized('no bearer')
      const verified = await verifier.verify(bearer).catch((cause: unknown) => {
        if (!(cause instanceof KeySetUnavailable)) throw cause
        throw refuse('unauthorized', 'the token cannot be verified', {
          evidence: 'auth: keys unavailable',
          cause,
        })
      })
      if (!verified.ok) throw unauthorized(verified.reason)
      const { token, exp, iat } = checkClaims(verified.claims)
      await burn(token, exp, iat)
      return token
    },
  }
}
