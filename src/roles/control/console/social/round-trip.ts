/**
 * A sign-in that leaves for a provider and comes back (RFC 9700). Each has a secret that only the browser it was
 * begun in holds, in a cookie; the state in the URLs is that secret's hash, so that whoever reads or sends a URL
 * cannot finish what another browser began. What was begun is taken when it comes back, once: a callback that is
 * sent again finds nothing.
 */
import { createHash, randomBytes } from 'node:crypto'
import { requireSetting } from '../../../../config/load.ts'
import type { Ephemera } from '../../../../platform/ephemera/port.ts'
import { errorOf } from '../../../../platform/http/errors/registry.ts'
import type { Control } from '../../control.ts'
import { CALLBACK } from '../paths.ts'
import { type SocialIdentity, type SocialProvider, signInFailed } from './provider.ts'

export const ROUND_TRIP_SECONDS = 600

/** Who wanted a further way to sign in, and in which session. */
export interface Linking {
  readonly accountId: string
  readonly sessionId: string
}

interface Begun {
  readonly provider: string
  readonly nonce: string
  readonly verifier: string
  /** `null`: a sign-in. */
  readonly linking: Linking | null
}

/** The query of the callback. */
export interface Returned {
  readonly state?: string | undefined
  readonly code?: string | undefined
  readonly error?: string | undefined
  readonly iss?: string | undefined
}

export interface RoundTrips {
  /** `secret` is for the cookie. Throws 503. */
  begin(
    provider: SocialProvider,
    linking: Linking | null,
  ): Promise<{ readonly url: string; readonly secret: string }>
  /** Throws 400 `social_sign_in_expired`, `social_sign_in_cancelled` and what the provider's `identify` does; 503. */
  finish(
    provider: SocialProvider,
    returned: Returned,
    secret: string | null,
    signal: AbortSignal,
  ): Promise<{ readonly identity: SocialIdentity; readonly linking: Linking | null }>
}

const random = () => randomBytes(32).toString('base64url')
const sha256 = (text: string) => createHash('sha256').update(text).digest('base64url')
const keyOf = (state: string) => `api:console_social:${state}`

export function createRoundTrips({
  ephemera,
  settings,
}: Pick<Control, 'settings'> & { readonly ephemera: Pick<Ephemera, 'set' | 'take'> }): RoundTrips {
  const base = requireSetting(settings, 'CARACAL_WEB_URL')
  const redirectUriOf = ({ name }: SocialProvider) => `${base}${CALLBACK}/${name}`
  const unavailable = (cause: unknown): never => {
    throw errorOf('service_unavailable', { cause })
  }

  return {
    async begin(provider, linking) {
      const secret = random()
      const state = sha256(secret)
      const begun: Begun = { provider: provider.name, nonce: random(), verifier: random(), linking }
      await ephemera.set(keyOf(state), JSON.stringify(begun), ROUND_TRIP_SECONDS * 1000).catch(unavailable)
      const url = provider.authorizationUrl({
        redirectUri: redirectUriOf(provider),
        state,
        nonce: begun.nonce,
        challenge: sha256(begun.verifier),
      })
      return { url, secret }
    },

    async finish(provider, { code, error, iss, state }, secret, signal) {
      if (secret === null || state !== sha256(secret)) throw errorOf('social_sign_in_expired')
      const kept = await ephemera.take(keyOf(state)).catch(unavailable)
      if (kept === null) throw errorOf('social_sign_in_expired')
      const { linking, nonce, provider: asked, verifier } = JSON.parse(kept) as Begun
      if (asked !== provider.name) throw signInFailed('begun with another provider')
      if (iss !== undefined && !provider.isIssuer(iss)) throw signInFailed('another issuer')
      if (error === 'access_denied') throw errorOf('social_sign_in_cancelled')
      if (error !== undefined) throw signInFailed(/^[a-z_]{1,64}$/.test(error) ? error : 'refused')
      if (code === undefined) throw signInFailed('no code')
      const redirectUri = redirectUriOf(provider)
      return { identity: await provider.identify({ redirectUri, code, verifier, nonce, signal }), linking }
    },
  }
}
