/** Google, by OpenID Connect: the id_token is the whole answer, and is believed only when it verifies (Core §3.1.3.7). */

import { createLocalJWKSet, type JSONWebKeySet, type JWTPayload, jwtVerify } from 'jose'
import { parseJsonObject } from '../../../../platform/json.ts'
import type { GoogleEndpoints } from './endpoints.ts'
import {
  type Answered,
  ask,
  authorizationUrl,
  redeem,
  type SocialClient,
  type SocialProvider,
  signInFailed,
} from './provider.ts'

const toleranceSeconds = 60

function keyOf(set: JSONWebKeySet): ReturnType<typeof createLocalJWKSet> {
  try {
    return createLocalJWKSet(set)
  } catch (cause) {
    throw signInFailed(`key set: ${(cause as Error).message}`)
  }
}

/** `clock` answers Unix milliseconds by the clock that decides every expiry. */
export function createGoogle(
  endpoints: GoogleEndpoints,
  client: SocialClient,
  clock: () => Promise<number>,
): SocialProvider {
  /** Read for each sign-in: there are few, and the keys change every few days. */
  async function keys(signal: AbortSignal): Promise<JSONWebKeySet> {
    const body = await ask(client, endpoints.keys, { headers: { accept: 'application/json' }, signal })
    const document = parseJsonObject(body.toString('utf8'))
    if (!Array.isArray(document?.keys)) throw signInFailed('no key set')
    return document as unknown as JSONWebKeySet
  }

  async function verified(token: string, { nonce, signal }: Answered): Promise<JWTPayload> {
    const [set, now] = await Promise.all([keys(signal), clock()])
    const { payload } = await jwtVerify(token, keyOf(set), {
      algorithms: ['RS256', 'ES256'],
      issuer: [...endpoints.issuers],
      audience: client.id,
      requiredClaims: ['exp', 'iat', 'sub'],
      clockTolerance: toleranceSeconds,
      currentDate: new Date(now),
    }).catch((cause: Error) => {
      throw signInFailed(`id_token: ${cause.message}`)
    })
    if (payload.nonce !== nonce) throw signInFailed('id_token: another nonce')
    if (payload.azp !== undefined && payload.azp !== client.id) throw signInFailed('id_token: another azp')
    return payload
  }

  return {
    name: 'google',
    authorizationUrl: (asked) =>
      authorizationUrl(endpoints.authorization, client, asked, { scope: 'openid email', nonce: asked.nonce }),
    isIssuer: (issuer) => endpoints.issuers.includes(issuer),
    async identify(answered) {
      const { id_token } = await redeem(endpoints.token, client, answered)
      if (typeof id_token !== 'string') throw signInFailed('no id_token')
      const { sub, email, email_verified } = await verified(id_token, answered)
      if (typeof sub !== 'string' || sub === '' || sub.length > 255)
        throw signInFailed('id_token: no subject')
      const isVerified = typeof email === 'string' && email_verified === true
      return { provider: 'google', subject: sub, email: isVerified ? email.toLowerCase() : null }
    },
  }
}
