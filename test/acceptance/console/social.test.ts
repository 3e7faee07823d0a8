/** Sign-in to the console with Google and GitHub (sdk-cli-console §13.3). */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect } from 'vitest'
import { loadSettings } from '../../../src/config/load.ts'
import { allowlistPath, type Standing, writeAllowlist } from '../../../src/config/operator-allowlist.ts'
import { uuidv7 } from '../../../src/platform/ids.ts'
import { eventually } from '../../fixtures/eventually.ts'
import { seam } from '../../fixtures/seam.ts'
import {
  createSocialPeer,
  type Person,
  type SocialPeer,
  socialClients,
  stranger,
} from '../../fixtures/social-peer.ts'
import { inOneProcess } from '../../fixtures/topology.ts'
import { origin } from '../../roles/control/console-client.ts'
import { meanwhile } from '../../roles/control/meanwhile.ts'
import { adminToken, createStage, type Stage } from '../../roles/control/stage.ts'

const test = seam('the providers are in this process')
const directory = mkdtempSync(join(tmpdir(), 'caracal-allowlist-'))
const path = allowlistPath(directory)
const password = 'correct horse battery'
let stage: Stage
let peer: SocialPeer

beforeAll(async () => {
  if (!inOneProcess) return
  peer = await createSocialPeer(stranger('nobody@example.com'))
  stage = await createStage({
    egress: peer.server.egress,
    socialEndpoints: peer.endpoints,
    settings: { ...socialClients, CARACAL_SECRETS_DIR: directory },
  })
})
afterAll(async () => {
  await stage?.[Symbol.asyncDispose]()
  await peer?.[Symbol.asyncDispose]()
  rmSync(directory, { recursive: true })
})
beforeEach(async () => {
  await stage.forgetCounters()
  rmSync(path, { force: true })
  peer.lies = {}
  peer.person = stranger(address())
})

const listed = (...entries: [string, Standing][]) => writeAllowlist(path, new Map(entries))
const address = () => `person-${uuidv7()}@example.com`

interface Answer {
  readonly status: number
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked into by tests of every shape
  readonly body: any
  readonly headers: Headers
}

/** A browser with all its cookies. */
function visitor(app = stage.control.app) {
  const jar = new Map<string, string>()
  const send = async (method: string, target: string, body?: object, from = origin): Promise<Answer> => {
    const response = await app.request(target, {
      method,
      headers: {
        cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; '),
        ...(method === 'GET' ? {} : { origin: from }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    for (const set of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(set) ?? []
      if (value === '' || /max-age=0/i.test(set)) jar.delete(name)
      else jar.set(name, value)
    }
    const isJson = response.headers.get('content-type')?.includes('json') === true
    const text = await response.text()
    return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text }
  }
  const api = (method: string, target: string, body?: object) => send(method, `/api/console${target}`, body)
  const begin = async (target: string): Promise<string> => {
    const answer = await api('POST', target)
    if (answer.status !== 200) throw new Error(JSON.stringify(answer.body))
    return answer.body.url
  }
  /** Where the browser is sent on to when it comes back by `url`. */
  const comeBack = async (url: URL): Promise<string> => {
    const answer = await send('GET', url.pathname + url.search)
    expect(answer.status).toBe(302)
    const to = new URL(answer.headers.get('location') ?? '')
    expect(to.origin).toBe(origin)
    return to.pathname + to.search
  }
  return {
    send,
    api,
    begin,
    comeBack,
    jar,
    signIn: async (provider: string) => comeBack(peer.agree(await begin(`/auth/social/${provider}`))),
    link: async (provider: string) => comeBack(peer.agree(await begin(`/auth/methods/${provider}`))),
    session: () => api('GET', '/auth/session'),
  }
}

const refused = (code: string) => `/console/?sign_in_error=${code}`
const refusedLink = (code: string) => `/console/profile?sign_in_error=${code}`
const outcome = ({ status, body }: Answer) => [status, body.error]

async function signedIn(provider: string, as?: Person) {
  if (as !== undefined) peer.person = as
  const browser = visitor()
  expect(await browser.signIn(provider)).toBe('/console/')
  return { browser, id: (await browser.session()).body.user.id as string }
}

/** Of dev mode: its address is not verified. */
async function registered(email = address()) {
  const browser = visitor()
  const answer = await browser.api('POST', '/auth/register', { email, password })
  expect(answer.status, JSON.stringify(answer.body)).toBe(201)
  return { browser, email, id: answer.body.user.id as string }
}

const verify = (id: string) =>
  stage.database.admin`update console_accounts set verified_at = now() where id = ${id}`
const accounts = (email: string) =>
  stage.database.admin<{ id: string; verified_at: Date | null; password_hash: string | null }[]>`
    select id, verified_at, password_hash from console_accounts where email = ${email}`
const identities = (id: string) =>
  stage.database.admin`select provider from console_identities where account_id = ${id}`

describe('the way there and back', () => {
  test('the page is told which providers there are', async () => {
    expect((await visitor().api('GET', '/auth/config')).body.social).toEqual(['google', 'github'])
    const { control } = await stage.replica({ GOOGLE_CLIENT_ID: null, GOOGLE_CLIENT_SECRET: null })
    const without = visitor(control.app)
    expect((await without.api('GET', '/auth/config')).body.social).toEqual(['github'])
    expect(outcome(await without.api('POST', '/auth/social/google'))).toEqual([404, 'not_found'])
    expect(outcome(await without.send('GET', '/api/auth/callback/google'))).toEqual([404, 'not_found'])
    expect(outcome(await without.api('POST', '/auth/social/myspace'))).toEqual([404, 'not_found'])
  })

  test('Google: who signs in first has an account; it is found by the subject afterwards', async () => {
    const { person } = peer
    const browser = visitor()
    const url = new URL(await browser.begin('/auth/social/google'))
    expect(Object.fromEntries(url.searchParams)).toMatchObject({
      response_type: 'code',
      redirect_uri: `${origin}/api/auth/callback/google`,
      scope: 'openid email',
      code_challenge_method: 'S256',
      nonce: expect.stringMatching(/^[\w-]{43}$/),
      state: expect.stringMatching(/^[\w-]{43}$/),
    })
    expect(url.href).not.toContain(browser.jar.get('caracal_sign_in'))
    expect(await browser.comeBack(peer.agree(url.href))).toBe('/console/')
    expect(browser.jar.has('caracal_sign_in')).toBe(false)
    const { body } = await browser.session()
    expect(body.user).toMatchObject({ name: person.email, email: person.email })
    const [account] = await accounts(person.email)
    expect(account).toMatchObject({ id: body.user.id, password_hash: null, verified_at: expect.any(Date) })
    // Somebody else has the address now, and the person another one that nobody has verified.
    const renamed = { ...person, email: address(), emailVerified: false }
    expect((await signedIn('google', renamed)).id).toBe(body.user.id)
    expect(await accounts(renamed.email)).toEqual([])
  })

  test('the cookie of the way there is out of reach of scripts and other sites', async () => {
    const { headers } = await visitor().api('POST', '/auth/social/google')
    expect(headers.getSetCookie()).toEqual([
      expect.stringMatching(/^caracal_sign_in=[\w-]{43}; Max-Age=600; Path=\/; HttpOnly; SameSite=Lax$/),
    ])
    expect(headers.get('cache-control')).toBe('no-store')
    const { control } = await stage.replica({ CARACAL_MODE: 'stable' })
    const published = await visitor(control.app).api('POST', '/auth/social/google')
    expect(published.headers.getSetCookie()[0]).toMatch(
      /^__Host-caracal_sign_in=.*; HttpOnly; Secure; SameSite=Lax$/,
    )
  })

  test('GitHub: only the primary address counts, and only verified', async () => {
    const { person } = peer
    const primary = person.email.toUpperCase()
    peer.person = {
      ...person,
      githubEmails: [
        { email: address(), primary: false, verified: true },
        { email: primary, primary: true, verified: false },
      ],
    }
    const browser = visitor()
    expect(await browser.signIn('github')).toBe(refused('social_email_not_verified'))
    expect((await browser.session()).status).toBe(401)
    peer.person = { ...person, githubEmails: [{ email: primary, primary: true, verified: true }] }
    expect(await browser.signIn('github')).toBe('/console/')
    expect((await browser.session()).body.user.email).toBe(person.email)
  })

  test('nobody finishes what another browser began, or finishes twice', async () => {
    const victim = visitor()
    const back = peer.agree(await visitor().begin('/auth/social/google'))
    expect(await victim.comeBack(back)).toBe(refused('social_sign_in_expired'))
    await victim.begin('/auth/social/google')
    expect(await victim.comeBack(back)).toBe(refused('social_sign_in_expired'))

    const browser = visitor()
    const good = peer.agree(await browser.begin('/auth/social/google'))
    const secret = browser.jar.get('caracal_sign_in') ?? ''
    const before = peer.redeemed()
    expect(await browser.comeBack(good)).toBe('/console/')
    const thief = visitor()
    thief.jar.set('caracal_sign_in', secret)
    expect(await thief.comeBack(good)).toBe(refused('social_sign_in_expired'))
    expect(peer.redeemed()).toBe(before + 1)
    expect((await thief.session()).status).toBe(401)
  })

  test.each(['google', 'github'])('%s: a code that was used is worth nothing', async (provider) => {
    const browser = visitor()
    const first = peer.agree(await browser.begin(`/auth/social/${provider}`))
    expect(await browser.comeBack(first)).toBe('/console/')
    const other = visitor()
    peer.lies = { returns: { code: first.searchParams.get('code') ?? '' } }
    expect(await other.signIn(provider)).toBe(refused('social_sign_in_failed'))
  })

  test.each(['google', 'github'])("%s: a code of another's sign-in is worth nothing", async (provider) => {
    const stolen = peer.agree(await visitor().begin(`/auth/social/${provider}`))
    peer.lies = { returns: { code: stolen.searchParams.get('code') ?? '' } }
    expect(await visitor().signIn(provider)).toBe(refused('social_sign_in_failed'))
  })

  test('what one provider was asked, another does not answer', async () => {
    const browser = visitor()
    const back = peer.agree(await browser.begin('/auth/social/google'))
    back.pathname = '/api/auth/callback/github'
    back.searchParams.delete('iss')
    const before = peer.server.requests()
    expect(await browser.comeBack(back)).toBe(refused('social_sign_in_failed'))
    expect(peer.server.requests()).toBe(before)
    peer.lies = { returns: { iss: 'https://elsewhere.test.example' } }
    expect(await browser.signIn('google')).toBe(refused('social_sign_in_failed'))
  })

  test('a parameter that is there twice is not there', async () => {
    const browser = visitor()
    const back = peer.agree(await browser.begin('/auth/social/google'))
    back.searchParams.append('state', back.searchParams.get('state') ?? '')
    expect(await browser.comeBack(back)).toBe(refused('social_sign_in_expired'))
  })

  test('who changes their mind is told so, in no words of the provider', async () => {
    const answers: [Record<string, string>, string][] = [
      [{ error: 'access_denied', error_description: 'words of the provider' }, 'social_sign_in_cancelled'],
      [{ error: '<script>', error_description: 'words of the provider' }, 'social_sign_in_failed'],
    ]
    for (const [returns, code] of answers) {
      peer.lies = { returns }
      expect(await visitor().signIn('google')).toBe(refused(code))
    }
  })

  test('a provider that is down is not the fault of who signs in', async () => {
    peer.lies = { answer: { status: 503, body: null } }
    expect(await visitor().signIn('google')).toBe(refused('social_unavailable'))
    expect(await visitor().signIn('github')).toBe(refused('social_unavailable'))
    peer.lies = { answer: { body: 'not an object' } }
    expect(await visitor().signIn('google')).toBe(refused('social_sign_in_failed'))
    expect(await visitor().signIn('github')).toBe(refused('social_sign_in_failed'))
  })

  test('a page elsewhere begins nothing, and one at another name says where it works', async () => {
    const browser = visitor()
    const from = (page: string) => browser.send('POST', '/api/console/auth/social/google', undefined, page)
    expect(outcome(await from('https://evil.example'))).toEqual([403, 'cross_site_request_blocked'])
    const { control } = await stage.replica({ CARACAL_WEB_ORIGIN: 'http://console.example' })
    const elsewhere = await visitor(control.app).send(
      'POST',
      '/api/console/auth/social/google',
      undefined,
      'http://console.example',
    )
    expect(outcome(elsewhere)).toEqual([400, 'social_wrong_address'])
    expect(elsewhere.body.error_description).toContain(origin)
    expect(elsewhere.headers.getSetCookie()).toEqual([])
  })
})

describe('an id_token that is not right opens nothing', () => {
  const now = Math.floor(Date.now() / 1000)
  const cases: [string, SocialPeer['lies']][] = [
    ['of another sign-in', { claims: { nonce: 'A'.repeat(43) } }],
    ['without a nonce', { claims: { nonce: undefined } }],
    ['for another client', { claims: { aud: 'somebody else' } }],
    ['made for another party', { claims: { azp: 'somebody else' } }],
    ['of another issuer', { claims: { iss: 'https://accounts.google.com' } }],
    ['that has expired', { claims: { exp: now - 3600, iat: now - 7200 } }],
    ['that never expires', { claims: { exp: undefined } }],
    ['without a subject', { claims: { sub: undefined } }],
    ['with an empty subject', { claims: { sub: '' } }],
    ['signed by a stranger', { foreignKey: true }],
    ['signed with the secret', { symmetric: true }],
    ['beside a key set that is none', { keys: ['a key'] }],
    ['beside a key set without its key', { keys: [] }],
  ]
  test.each(cases)('%s', async (_what, lies) => {
    const browser = visitor()
    peer.lies = lies
    expect(await browser.signIn('google')).toBe(refused('social_sign_in_failed'))
    expect((await browser.session()).status).toBe(401)
    expect(await accounts(peer.person.email)).toEqual([])
    peer.lies = {}
    expect(await browser.signIn('google')).toBe('/console/')
  })

  test.each([false, undefined, 'true'])('with an address verified: %s', async (email_verified) => {
    peer.lies = { claims: { email_verified } }
    expect(await visitor().signIn('google')).toBe(refused('social_email_not_verified'))
    expect(await accounts(peer.person.email)).toEqual([])
  })
})

describe('who may sign in', () => {
  test('an address that is not on the list gets no account', async () => {
    const { person } = peer
    listed(['@elsewhere.example', 'active'])
    expect(await visitor().signIn('google')).toBe(refused('registration_not_permitted'))
    expect(await accounts(person.email)).toEqual([])
    const { control } = await stage.replica({ CARACAL_OPEN_REGISTRATION: false })
    rmSync(path)
    expect(await visitor(control.app).signIn('github')).toBe(refused('registration_not_permitted'))
    listed([person.email, 'active'])
    expect(await visitor(control.app).signIn('github')).toBe('/console/')
  })

  test('a lock holds at the next request and the next sign-in; removed forgets who it was', async () => {
    const { person } = peer
    const { browser, id } = await signedIn('google')
    listed([person.email, 'locked'])
    expect(outcome(await browser.session())).toEqual([403, 'access_denied'])
    expect(await browser.signIn('google')).toBe(refused('access_denied'))
    expect((await identities(id)).length).toBe(1)
    listed([person.email, 'removed'])
    expect(await browser.signIn('google')).toBe(refused('access_denied'))
    expect(await accounts(person.email)).toEqual([])
    expect(await identities(id)).toEqual([])
    listed([person.email, 'active'])
    expect((await signedIn('google')).id).not.toBe(id)
  })

  test('outside of dev an account whose address nobody has verified stays out by any way', async () => {
    const { browser, id } = await registered()
    expect(await browser.link('google')).toBe('/console/profile?linked=google')
    const { control } = await stage.replica({ CARACAL_MODE: 'stable' })
    expect(await visitor(control.app).signIn('google')).toBe(refused('email_not_verified'))
    const kept = visitor(control.app)
    kept.jar.set('__Host-caracal_session', browser.jar.get('caracal_session') ?? '')
    expect(outcome(await kept.session())).toEqual([401, 'unauthenticated'])
    await verify(id)
    expect(await visitor(control.app).signIn('google')).toBe('/console/')
    expect((await kept.session()).status).toBe(200)
  })
})

describe('accounts that were there before', () => {
  test('one whose address is verified is signed in to', async () => {
    const { email, id } = await registered()
    await verify(id)
    expect((await signedIn('google', stranger(email))).id).toBe(id)
    expect((await signedIn('github', stranger(email))).id).toBe(id)
    // A third one who has the address does not take the place of the first.
    peer.person = stranger(email)
    expect(await visitor().signIn('google')).toBe(refused('social_account_exists'))
  })

  test('one whose address is not verified is not taken over: its owner links it', async () => {
    const { browser, email, id } = await registered()
    peer.person = stranger(email)
    expect(await visitor().signIn('google')).toBe(refused('social_account_exists'))
    expect(await identities(id)).toEqual([])
    expect(await browser.link('google')).toBe('/console/profile?linked=google')
    expect((await signedIn('google')).id).toBe(id)
  })

  test('one account elsewhere signs in to one account here, and one of each provider', async () => {
    const { person } = peer
    const owner = await signedIn('google')
    const { browser, id } = await registered()
    expect(await browser.link('google')).toBe(refusedLink('social_account_taken'))
    peer.person = stranger(address())
    expect(await browser.link('google')).toBe('/console/profile?linked=google')
    expect(await browser.link('google')).toBe('/console/profile?linked=google')
    peer.person = stranger(address())
    expect(await browser.link('google')).toBe(refusedLink('social_already_linked'))
    expect((await identities(id)).length).toBe(1)
    expect((await signedIn('google', person)).id).toBe(owner.id)
  })

  test('nothing is linked to an account that is deleted meanwhile', async () => {
    const { browser, id } = await registered()
    const to = await meanwhile(
      stage.database,
      (sql) => sql`delete from console_accounts where id = ${id}`,
      () => browser.link('google'),
    )
    expect(to).toBe(refused('unauthenticated'))
    expect(await identities(id)).toEqual([])
  })

  test('a link is made for the session that asked for it', async () => {
    const first = await registered()
    const second = await registered()
    const back = peer.agree(await first.browser.begin('/auth/methods/github'))
    first.browser.jar.set('caracal_session', second.browser.jar.get('caracal_session') ?? '')
    expect(await first.browser.comeBack(back)).toBe(refusedLink('social_sign_in_expired'))
    expect([...(await identities(first.id)), ...(await identities(second.id))]).toEqual([])
    const gone = peer.agree(await second.browser.begin('/auth/methods/github'))
    second.browser.jar.delete('caracal_session')
    expect(await second.browser.comeBack(gone)).toBe(refused('unauthenticated'))
    expect(await identities(second.id)).toEqual([])
  })

  test('an administrator token has no account to link', async () => {
    const browser = visitor()
    await browser.api('POST', '/auth/session', { token: adminToken })
    for (const [method, target] of [
      ['GET', '/auth/methods'],
      ['POST', '/auth/methods/google'],
      ['DELETE', '/auth/methods/google'],
    ] as const)
      expect(outcome(await browser.api(method, target)), method).toEqual([403, 'access_denied'])
    expect(outcome(await visitor().api('GET', '/auth/methods'))).toEqual([401, 'unauthenticated'])
  })
})

describe('unlinking', () => {
  const unlink = (browser: ReturnType<typeof visitor>, provider: string) =>
    browser.api('DELETE', `/auth/methods/${provider}`)

  test('the methods are listed, and one that goes ends the other sessions', async () => {
    const { browser, id } = await registered()
    await browser.link('google')
    const elsewhere = await signedIn('google')
    expect(elsewhere.id).toBe(id)
    expect((await browser.api('GET', '/auth/methods')).body).toEqual({
      password: true,
      social: [
        { provider: 'google', email: peer.person.email, linked_at: expect.any(String), available: true },
        { provider: 'github', email: null, linked_at: null, available: true },
      ],
    })
    expect((await unlink(browser, 'google')).status).toBe(204)
    expect((await elsewhere.browser.session()).status).toBe(401)
    expect((await browser.session()).status).toBe(200)
    expect(outcome(await unlink(browser, 'google'))).toEqual([404, 'social_not_linked'])
    // The address is another's by now, for all that is known here.
    expect((await signedIn('google')).id).not.toBe(id)
  })

  test('what was unlinked comes back by the hand of its owner only', async () => {
    const { browser, email, id } = await registered()
    await verify(id)
    expect((await signedIn('google', stranger(email))).id).toBe(id)
    expect((await unlink(browser, 'google')).status).toBe(204)
    expect(await visitor().signIn('google')).toBe(refused('social_account_exists'))
    peer.person = stranger(email)
    expect(await visitor().signIn('github')).toBe(refused('social_account_exists'))
    expect(await identities(id)).toEqual([])
    expect(await browser.link('google')).toBe('/console/profile?linked=google')
    expect((await signedIn('google')).id).toBe(id)
  })

  test('an identity that is unlinked while it signs in opens nothing', async () => {
    const { id } = await signedIn('google')
    const late = visitor()
    const to = await meanwhile(
      stage.database,
      async (sql) => {
        await sql`delete from console_identities where account_id = ${id}`
        await sql`update console_accounts set links_by_hand = true where id = ${id}`
      },
      () => late.signIn('google'),
    )
    expect(to).toBe(refused('unauthenticated'))
    expect((await late.session()).status).toBe(401)
  })

  test('an address makes no first link while its owner comes to link by hand', async () => {
    const { email, id } = await registered()
    await verify(id)
    peer.person = stranger(email)
    const to = await meanwhile(
      stage.database,
      (sql) => sql`update console_accounts set links_by_hand = true where id = ${id}`,
      () => visitor().signIn('google'),
    )
    expect(to).toBe(refused('social_account_exists'))
    expect(await identities(id)).toEqual([])
  })

  test('the last way to sign in stays, also when two go at once', async () => {
    const { browser, id } = await signedIn('google')
    expect(outcome(await unlink(browser, 'google'))).toEqual([409, 'last_sign_in_method'])
    await browser.link('github')
    const { admin } = stage.database
    const both = await admin.begin(async (tx) => {
      await tx`select 1 from console_accounts where id = ${id} for update`
      const asked = Promise.all([unlink(browser, 'google'), unlink(browser, 'github')])
      await eventually(async () => {
        // A transaction sees the activity as it first looked.
        await tx`select pg_stat_clear_snapshot()`
        const waiting = await tx`
          select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`
        expect(waiting.length).toBe(2)
      })
      return { asked }
    })
    expect((await both.asked).map(({ status }) => status).sort()).toEqual([204, 409])
    expect((await identities(id)).length).toBe(1)
  })

  test('what this server does not offer is no way to sign in', async () => {
    const { browser, id } = await registered()
    await browser.link('google')
    await browser.link('github')
    const { control } = await stage.replica({
      CARACAL_PASSWORD_SIGNUP: false,
      GITHUB_CLIENT_ID: null,
      GITHUB_CLIENT_SECRET: null,
    })
    const there = visitor(control.app)
    for (const [name, value] of browser.jar) there.jar.set(name, value)
    expect((await there.api('GET', '/auth/methods')).body).toMatchObject({
      password: false,
      social: [
        { provider: 'google', available: true },
        { provider: 'github', available: false },
      ],
    })
    expect(outcome(await unlink(there, 'google'))).toEqual([409, 'last_sign_in_method'])
    expect((await unlink(there, 'github')).status).toBe(204)
    expect(await identities(id)).toEqual([{ provider: 'google' }])
  })
})

test('signing in this way is bounded as well', async () => {
  const browser = visitor()
  for (let n = 0; n < 10; n += 1) await browser.begin('/auth/social/google')
  expect(outcome(await browser.api('POST', '/auth/social/google'))).toEqual([429, 'rate_limited'])
})

test('what a provider needs is asked for at start', () => {
  const load = (env: Record<string, string>) => () =>
    loadSettings({ CARACAL_MODE: 'dev', ...env }, { roles: ['control'], generateSecrets: false })
  const google = { GOOGLE_CLIENT_ID: 'a', GOOGLE_CLIENT_SECRET: 'b' }
  expect(load({ GOOGLE_CLIENT_ID: 'a' })).toThrow(
    /GOOGLE_CLIENT_ID and GOOGLE_CLIENT_SECRET must be set together/,
  )
  expect(load({ GITHUB_CLIENT_SECRET: 'a' })).toThrow(
    /GITHUB_CLIENT_ID and GITHUB_CLIENT_SECRET must be set together/,
  )
  const required = { CARACAL_REQUIRE_SIGN_IN_METHOD: 'true', CARACAL_PASSWORD_SIGNUP: 'false' }
  expect(load(required)).toThrow(/needs CARACAL_PASSWORD_SIGNUP, or GOOGLE_CLIENT_ID or GITHUB_CLIENT_ID/)
  expect(load({ ...required, ...google })).not.toThrow(/SIGN_IN_METHOD/)
  const published = (url: string) => load({ ...google, CARACAL_MODE: 'stable', CARACAL_WEB_URL: url })
  expect(published('http://console.example.com')).toThrow(/CARACAL_WEB_URL must use https with GOOGLE/)
  for (const url of ['https://console.example.com', 'http://localhost:3001'])
    expect(published(url)).not.toThrow(/CARACAL_WEB_URL/)
})
