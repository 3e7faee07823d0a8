/** GitHub, which speaks no OpenID Connect: the access token is used at once to ask who it is for, and kept nowhere. */
import { parseJsonObject } from '../../../../platform/json.ts'
import type { GitHubEndpoints } from './endpoints.ts'
import {
  ask,
  authorizationUrl,
  redeem,
  type SocialClient,
  type SocialProvider,
  signInFailed,
} from './provider.ts'

export function createGitHub(endpoints: GitHubEndpoints, client: SocialClient): SocialProvider {
  const read = (url: string, token: string, signal: AbortSignal): Promise<Buffer> =>
    ask(client, url, {
      headers: {
        accept: 'application/vnd.github+json',
        authorization: `Bearer ${token}`,
        'user-agent': 'caracal',
        'x-github-api-version': '2022-11-28',
      },
      signal,
    })

  return {
    name: 'github',
    authorizationUrl: (asked) =>
      authorizationUrl(endpoints.authorization, client, asked, { scope: 'user:email' }),
    // It names none, and its callback path is its own: an answer of somebody else does not come there by mistake.
    isIssuer: () => true,
    async identify(answered) {
      const { access_token } = await redeem(endpoints.token, client, answered)
      if (typeof access_token !== 'string' || access_token === '') throw signInFailed('no access token')
      const [user, emails] = await Promise.all([
        read(endpoints.user, access_token, answered.signal),
        read(endpoints.emails, access_token, answered.signal),
      ])
      const id = parseJsonObject(user.toString('utf8'))?.id
      if (typeof id !== 'number' || !Number.isSafeInteger(id)) throw signInFailed('a user without an id')
      return { provider: 'github', subject: String(id), email: primaryVerified(emails) }
    },
  }
}

/** Others of a person's addresses may be verified too, but only this one is what they go by. */
function primaryVerified(body: Buffer): string | null {
  let list: unknown
  try {
    list = JSON.parse(body.toString('utf8'))
  } catch {
    throw signInFailed('addresses that are no JSON')
  }
  if (!Array.isArray(list)) throw signInFailed('addresses that are no list')
  const primary = list.find(
    (one: unknown): one is { readonly email: string } =>
      typeof one === 'object' &&
      one !== null &&
      'primary' in one &&
      one.primary === true &&
      'verified' in one &&
      one.verified === true &&
      'email' in one &&
      typeof one.email === 'string',
  )
  return primary?.email.toLowerCase() ?? null
}
