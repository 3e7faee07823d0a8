/**
 * A provider as the console uses it, and what is the same for all: the authorization request with PKCE (RFC 7636),
 * and the calls behind the browser's back. Whatever a provider says that is not as it should be is
 * `social_sign_in_failed`; its own words go nowhere but, shortened to a code, to the log.
 */

import {
  EgressError,
  type EgressGuard,
  type GuardedRequest,
} from '../../../../platform/egress/guarded-fetch.ts'
import { errorOf } from '../../../../platform/http/errors/registry.ts'
import { parseJsonObject } from '../../../../platform/json.ts'
import { oauthErrorOf } from '../../oauth-client.ts'
import type { SocialName } from './endpoints.ts'

/** Somebody, as a provider knows them. */
export interface SocialIdentity {
  readonly provider: SocialName
  /** Never given to anybody else, unlike an address. */
  readonly subject: string
  /** Lower case; `null` unless the provider has verified it. */
  readonly email: string | null
}

/** What is known of one sign-in before and after the browser was away. */
export interface Asked {
  readonly redirectUri: string
  readonly state: string
  readonly nonce: string
  /** S256 of the verifier. */
  readonly challenge: string
}

export interface Answered {
  readonly redirectUri: string
  readonly code: string
  readonly verifier: string
  readonly nonce: string
  readonly signal: AbortSignal
}

export interface SocialProvider {
  readonly name: SocialName
  authorizationUrl(asked: Asked): string
  /** Whether an answer that names its issuer (RFC 9207) can be this provider's. */
  isIssuer(issuer: string): boolean
  /** Throws 400 `social_sign_in_failed`; 502 `social_unavailable`. */
  identify(answered: Answered): Promise<SocialIdentity>
}

export interface SocialClient {
  readonly id: string
  readonly secret: string
  readonly egress: EgressGuard
}

/** A refusal whose reason is for the log alone. */
export const signInFailed = (detail: string) => errorOf('social_sign_in_failed', { detail })

export function authorizationUrl(
  endpoint: string,
  client: SocialClient,
  asked: Asked,
  more: Readonly<Record<string, string>>,
): string {
  const url = new URL(endpoint)
  const parameters = {
    response_type: 'code',
    client_id: client.id,
    redirect_uri: asked.redirectUri,
    state: asked.state,
    code_challenge: asked.challenge,
    code_challenge_method: 'S256',
    // Who has several accounts there, or shares the browser, says which one.
    prompt: 'select_account',
    ...more,
  }
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
  return url.href
}

/** The answer's body when its status is 200. */
export async function ask(client: SocialClient, url: string, call: GuardedRequest): Promise<Buffer> {
  const answer = await client.egress.fetch(url, call).catch((cause: unknown) => {
    if (cause instanceof EgressError) throw errorOf('social_unavailable', { cause, detail: cause.message })
    throw cause
  })
  if (answer.status >= 500) throw errorOf('social_unavailable', { detail: `answered ${answer.status}` })
  if (answer.status !== 200)
    throw signInFailed(`answered ${answer.status} ${oauthErrorOf(answer.body) ?? ''}`.trimEnd())
  return answer.body
}

/** What the token endpoint gives for the code. */
export async function redeem(
  endpoint: string,
  client: SocialClient,
  { code, redirectUri, signal, verifier }: Answered,
): Promise<Readonly<Record<string, unknown>>> {
  const body = await ask(client, endpoint, {
    method: 'POST',
    headers: { accept: 'application/json', 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({
      grant_type: 'authorization_code',
      code,
      redirect_uri: redirectUri,
      code_verifier: verifier,
      client_id: client.id,
      client_secret: client.secret,
    }).toString(),
    signal,
  })
  // GitHub refuses a code with status 200.
  const refusal = oauthErrorOf(body)
  const answer = parseJsonObject(body.toString('utf8'))
  if (answer === null || refusal !== null) throw signInFailed(`no token: ${refusal ?? 'not an object'}`)
  return answer
}
