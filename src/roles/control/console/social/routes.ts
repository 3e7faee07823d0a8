/** Signing in with Google or GitHub, and linking them to an account (sdk-cli-console §13.3). */
import type { Context, Hono } from 'hono'
import { requireSetting } from '../../../../config/load.ts'
import { errorOf } from '../../../../platform/http/errors/registry.ts'
import { headerOf } from '../../../../platform/http/incoming.ts'
import { toCaracalError } from '../../../../platform/http/render-error.ts'
import { requestContext } from '../../../../platform/http/request-context.ts'
import type { Control } from '../../control.ts'
import type { BeginSession } from '../begin-session.ts'
import { createSecretCookie, SOCIAL } from '../cookie.ts'
import { limitAddress } from '../limits.ts'
import { API, CALLBACK } from '../paths.ts'
import type { Operator } from '../sessions.ts'
import { socialNames } from './endpoints.ts'
import type { Identities } from './identities.ts'
import type { SocialProvider } from './provider.ts'
import type { SocialProviders } from './providers.ts'
import { createRoundTrips, type Linking, type Returned, ROUND_TRIP_SECONDS } from './round-trip.ts'

export interface SocialRouteDeps {
  readonly control: Control
  readonly providers: SocialProviders
  readonly identities: Identities
  readonly operatorOf: (c: Context) => Promise<Operator>
  readonly beginSession: BeginSession
}

const LONGEST_PARAMETER = 4096

/** A parameter that is there once; one that is repeated means nothing (RFC 6749 §3.1). */
function once(c: Context, name: string): string | undefined {
  const values = c.req.queries(name)
  if (values?.length !== 1) return undefined
  return (values[0] as string).length > LONGEST_PARAMETER ? undefined : values[0]
}

const returned = (c: Context): Returned => ({
  state: once(c, 'state'),
  code: once(c, 'code'),
  error: once(c, 'error'),
  iss: once(c, 'iss'),
})

/** Of an operator who has an account; an administrator's token has none. */
function accountOf({ owner, sessionId }: Operator): Linking {
  if (owner.accountId === null) throw errorOf('access_denied')
  return { accountId: owner.accountId, sessionId }
}

export function mountSocial(app: Hono, deps: SocialRouteDeps): void {
  const { beginSession, control, identities, operatorOf, providers } = deps
  const cookie = createSecretCookie(control, SOCIAL)
  const roundTrips = createRoundTrips(control)
  const base = requireSetting(control.settings, 'CARACAL_WEB_URL')
  const path = (rest: string) => `${API}/auth/${rest}`

  function providerOf(c: Context): SocialProvider {
    const name = socialNames.find((one) => one === c.req.param('provider'))
    const provider = name === undefined ? undefined : providers.get(name)
    if (provider === undefined) throw errorOf('not_found')
    return provider
  }

  /** The browser comes back to the public URL, and brings the cookie only if it was given there. */
  function requirePublicAddress(c: Context): void {
    const origin = headerOf(c, 'origin')
    if (origin !== undefined && URL.canParse(origin) && new URL(origin).hostname !== new URL(base).hostname)
      throw errorOf('social_wrong_address', { message: `This way to sign in works at ${base} only` })
  }

  async function begin(c: Context, linking: Linking | null): Promise<Response> {
    const provider = providerOf(c)
    requirePublicAddress(c)
    const { secret, url } = await roundTrips.begin(provider, linking)
    cookie.write(c, secret, ROUND_TRIP_SECONDS)
    return c.json({ url })
  }

  app.post(path('social/:provider'), async (c) => {
    await limitAddress(c, control, 'sign_in')
    return begin(c, null)
  })

  app.get(path('methods'), async (c) => {
    return c.json(await identities.methodsOf(accountOf(await operatorOf(c)).accountId))
  })

  app.post(path('methods/:provider'), async (c) => {
    await limitAddress(c, control, 'sign_in')
    return begin(c, accountOf(await operatorOf(c)))
  })

  app.delete(path('methods/:provider'), async (c) => {
    const name = socialNames.find((one) => one === c.req.param('provider'))
    if (name === undefined) throw errorOf('not_found')
    const { accountId, sessionId } = accountOf(await operatorOf(c))
    await identities.unlink({ id: accountId, sessionId }, name)
    return c.body(null, 204)
  })

  /** Where the browser goes on to. */
  async function finish(c: Context, provider: SocialProvider): Promise<string> {
    await limitAddress(c, control, 'auth')
    const { identity, linking } = await roundTrips.finish(
      provider,
      returned(c),
      cookie.read(c),
      c.req.raw.signal,
    )
    if (linking === null) {
      await beginSession(c, { account: await identities.accountOf(identity) })
      return '/console/'
    }
    const { accountId, sessionId } = accountOf(await operatorOf(c))
    // Whoever is signed in by now did not ask for it.
    if (accountId !== linking.accountId || sessionId !== linking.sessionId)
      throw errorOf('social_sign_in_expired')
    await identities.link(accountId, identity)
    return `/console/profile?linked=${provider.name}`
  }

  /** A person looks at the answer: the page that they come from says what went wrong, by its code. */
  async function failed(c: Context, provider: SocialProvider, thrown: unknown): Promise<string> {
    const error = toCaracalError(thrown)
    const facts = { code: error.code, detail: error.detail, provider: provider.name }
    const { log } = requestContext(c)
    if (error.status >= 500) log.error({ ...facts, err: error }, 'console_social_sign_in_failed')
    else log.warn(facts, 'console_social_sign_in_refused')
    const isSignedIn = await operatorOf(c).then(
      () => true,
      () => false,
    )
    return `/console/${isSignedIn ? 'profile' : ''}?sign_in_error=${error.code}`
  }

  app.get(`${CALLBACK}/:provider`, async (c) => {
    const provider = providerOf(c)
    const place = await finish(c, provider).catch((thrown: unknown) => failed(c, provider, thrown))
    cookie.clear(c)
    return c.redirect(base + place)
  })
}
