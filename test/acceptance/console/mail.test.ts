/** Addresses verified and passwords reset by mail (sdk-cli-console §13.3). */
import { afterAll, beforeAll, beforeEach, expect } from 'vitest'
import { loadSettings } from '../../../src/config/load.ts'
import { uuidv7 } from '../../../src/platform/ids.ts'
import { eventually } from '../../fixtures/eventually.ts'
import { type MailServer, startMailServer } from '../../fixtures/mail-server.ts'
import { seam } from '../../fixtures/seam.ts'
import { inOneProcess } from '../../fixtures/topology.ts'
import { type Browser, type BrowserAnswer, createBrowser } from '../../roles/control/console-client.ts'
import { meanwhile } from '../../roles/control/meanwhile.ts'
import { createStage, type Stage } from '../../roles/control/stage.ts'

const test = seam('the mail server is in this process')
const password = 'correct horse battery'
const next = 'another horse battery'
let stage: Stage
let mail: MailServer
let published: Browser
let app: Parameters<typeof createBrowser>[0]

beforeAll(async () => {
  if (!inOneProcess) return
  mail = await startMailServer({ startTls: false })
  stage = await createStage()
  const { control } = await stage.replica({
    CARACAL_MODE: 'stable',
    CARACAL_OPEN_REGISTRATION: true,
    CARACAL_SMTP_URL: `${mail.url}?ignoreTLS=true`,
    CARACAL_SMTP_FROM: 'Caracal <caracal@example.com>',
    CARACAL_WEB_URL: 'http://localhost:3001',
  })
  app = control.app
})
afterAll(async () => {
  await stage?.[Symbol.asyncDispose]()
  await mail?.[Symbol.asyncDispose]()
})
beforeEach(async () => {
  await stage.forgetCounters()
  published = createBrowser(app)
})

const address = () => `person-${uuidv7()}@example.com`
const outcome = ({ status, body }: BrowserAnswer) => [status, body.error]
const secretOf = (link: URL) => link.hash.slice(1)
const register = (email: string, chosen = password) =>
  published.send('POST', '/auth/register', { email, password: chosen })
const verify = (token: string, chosen = password) =>
  published.send('POST', '/auth/verify', { token, password: chosen })

async function verified(): Promise<string> {
  const email = address()
  await register(email)
  expect((await verify(secretOf(await mail.linkTo(email)))).status).toBe(200)
  return email
}

test('an address is an account once its owner opened the link, with the password chosen', async () => {
  const email = address()
  expect((await published.send('GET', '/auth/config')).body).toMatchObject({
    registration: 'open',
    passwordReset: true,
  })
  const registered = await register(email)
  expect([registered.status, registered.body, registered.headers.getSetCookie()]).toEqual([
    202,
    { status: 'verification_sent' },
    [],
  ])
  const link = await mail.linkTo(email)
  expect(link.href).toMatch(/^http:\/\/localhost:3001\/console\/verify-email#[\w-]{43}$/)
  // Whoever signs in before gets another link, and no session.
  expect(outcome(await published.signIn({ email, password }))).toEqual([403, 'email_not_verified'])
  const second = await mail.linkTo(email, 1)
  const answer = await verify(secretOf(second))
  expect(answer.status, answer.text).toBe(200)
  expect(answer.body.user.email).toBe(email)
  expect(answer.headers.getSetCookie()[0]).toMatch(/^__Host-caracal_session=/)
  expect(outcome(await verify(secretOf(second)))).toEqual([400, 'link_not_valid'])
  expect((await published.signIn({ email, password })).status).toBe(200)
})

test('a stranger who registers an address gains nothing from its owner opening the link', async () => {
  const email = address()
  await register(email, 'the password of a stranger')
  expect(outcome(await verify(secretOf(await mail.linkTo(email))))).toEqual([401, 'invalid_credentials'])
  // The owner registers as well: from then on their password counts, and older links are worth nothing.
  const stale = await mail.linkTo(email, 1)
  await register(email)
  expect(outcome(await verify(secretOf(stale), 'the password of a stranger'))).toEqual([
    400,
    'link_not_valid',
  ])
  expect((await verify(secretOf(await mail.linkTo(email, 2)))).status).toBe(200)
  expect(outcome(await published.signIn({ email, password: 'the password of a stranger' }))).toEqual([
    401,
    'invalid_credentials',
  ])
})

test('a password that somebody registers while the owner confirms another is not confirmed with it', async () => {
  const email = address()
  await register(email)
  const token = secretOf(await mail.linkTo(email))
  const hash = await stage.hasher.hashChosen('the password of a stranger')
  const answer = await meanwhile(
    stage.database,
    (sql) => sql`update console_accounts set password_hash = ${hash} where email = ${email}`,
    () => verify(token),
  )
  expect(outcome(answer)).toEqual([400, 'link_not_valid'])
  expect(outcome(await published.signIn({ email, password: 'the password of a stranger' }))).toEqual([
    403,
    'email_not_verified',
  ])
})

test.each([
  ['confirms', 'verify'],
  ['sets a password for', 'reset'],
] as const)('who %s the address shares the account with no stranger from before', async (_what, way) => {
  const email = address()
  const stranger = createBrowser(stage.control.app)
  const { body } = await stranger.send('POST', '/auth/register', { email, password })
  await stranger.signIn({ email, password })
  await stage.database.admin`
    insert into console_identities (provider, subject, account_id) values ('github', ${email}, ${body.user.id})`
  if (way === 'verify') {
    await register(email, next)
    expect((await verify(secretOf(await mail.linkTo(email)), next)).status).toBe(200)
  } else {
    await published.send('POST', '/auth/password-reset', { email })
    const token = secretOf(await mail.linkTo(email))
    const set = await published.send('POST', '/auth/password-reset/confirm', { token, new_password: next })
    expect(set.status).toBe(204)
  }
  expect((await stranger.send('GET', '/auth/session')).status).toBe(401)
  const left = await stage.database.admin`
    select provider from console_identities where account_id = ${body.user.id}`
  expect(left).toEqual([])
  expect((await published.signIn({ email, password: next })).status).toBe(200)
})

test('a taken address looks free, and its owner is told', async () => {
  const email = await verified()
  const again = await register(email, next)
  expect([again.status, again.body]).toEqual([202, { status: 'verification_sent' }])
  const link = await mail.linkTo(email, 1)
  expect(link.pathname).toBe('/console/reset-password')
  expect((await published.signIn({ email, password })).status).toBe(200)
})

test('a forgotten password is set anew, and every session ends', async () => {
  const email = await verified()
  await published.signIn({ email, password })
  const ask = (of: string) => published.send('POST', '/auth/password-reset', { email: of })
  const asked = await ask(email.toUpperCase())
  const unknown = await ask(address())
  expect([asked.status, asked.body]).toEqual([202, { status: 'accepted' }])
  expect([unknown.status, unknown.body]).toEqual([202, { status: 'accepted' }])
  const token = secretOf(await mail.linkTo(email, 1))
  const confirm = (new_password: string) =>
    published.send('POST', '/auth/password-reset/confirm', { token, new_password })
  expect(outcome(await confirm('short'))).toEqual([400, 'invalid_body'])
  expect((await confirm(next)).status).toBe(204)
  expect(outcome(await confirm(password))).toEqual([400, 'link_not_valid'])
  expect((await published.send('GET', '/auth/session')).status).toBe(401)
  expect(outcome(await published.signIn({ email, password }))).toEqual([401, 'invalid_credentials'])
  expect((await published.signIn({ email, password: next })).status).toBe(200)
})

test('a link to set a password is worth nothing once the password is another', async () => {
  const email = await verified()
  await published.send('POST', '/auth/password-reset', { email })
  const token = secretOf(await mail.linkTo(email, 1))
  await published.signIn({ email, password })
  const change = { current_password: password, new_password: next }
  expect((await published.send('POST', '/auth/password', change)).status).toBe(204)
  expect(
    outcome(
      await published.send('POST', '/auth/password-reset/confirm', { token, new_password: 'a third one' }),
    ),
  ).toEqual([400, 'link_not_valid'])
})

test('nobody is buried in mail', async () => {
  const email = await verified()
  for (let n = 0; n < 8; n += 1) {
    await stage.database.admin`delete from ephemera where key like 'api:console_reset:127.0.0.1%'`
    await published.send('POST', '/auth/password-reset', { email })
  }
  await mail.linkTo(email, 1)
  await new Promise((resolve) => setTimeout(resolve, 300))
  expect(mail.letters.filter(({ to }) => to.includes(email)).length).toBeLessThanOrEqual(5)
})

test('a mail server without encryption is trusted with no secret unless the URL says so', async () => {
  await using plain = await startMailServer({ startTls: false })
  const { control } = await stage.replica({
    CARACAL_MODE: 'stable',
    CARACAL_OPEN_REGISTRATION: true,
    CARACAL_SMTP_URL: plain.url,
    CARACAL_SMTP_FROM: 'caracal@example.com',
  })
  const browser = createBrowser(control.app)
  const email = address()
  expect((await browser.send('POST', '/auth/register', { email, password })).status).toBe(202)
  await eventually(async () => {
    const [row] = await stage.database.admin`select 1 from console_accounts where email = ${email}`
    if (row === undefined) throw new Error('not registered')
  })
  await new Promise((resolve) => setTimeout(resolve, 300))
  expect(plain.letters).toEqual([])
})

test('what mail needs is asked for at start', () => {
  const load = (env: Record<string, string>) => () =>
    loadSettings({ CARACAL_MODE: 'dev', ...env }, { roles: ['control'], generateSecrets: false })
  expect(load({ CARACAL_SMTP_URL: 'http://mail.example.com', CARACAL_SMTP_FROM: 'a@example.com' })).toThrow(
    /CARACAL_SMTP_URL must be an smtp or smtps URL/,
  )
  expect(load({ CARACAL_SMTP_URL: 'smtps://mail.example.com' })).toThrow(/CARACAL_SMTP_FROM is required/)
  expect(load({ CARACAL_REQUIRE_SIGN_IN_METHOD: 'true', CARACAL_PASSWORD_SIGNUP: 'false' })).toThrow(
    /CARACAL_REQUIRE_SIGN_IN_METHOD needs CARACAL_PASSWORD_SIGNUP/,
  )
  expect(load({ CARACAL_REQUIRE_SIGN_IN_METHOD: 'true' })).not.toThrow(/SIGN_IN_METHOD/)
})
