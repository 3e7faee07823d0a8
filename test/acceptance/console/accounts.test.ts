/** Console accounts and the list of those who may use the console (sdk-cli-console §12.9, §13.3 and §16, check 59). */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect } from 'vitest'
import { allowlistPath, type Standing, writeAllowlist } from '../../../src/config/operator-allowlist.ts'
import type { Tx } from '../../../src/platform/db/port.ts'
import { uuidv7 } from '../../../src/platform/ids.ts'
import { leftOfMinute } from '../../fixtures/minute.ts'
import { seam } from '../../fixtures/seam.ts'
import { inOneProcess } from '../../fixtures/topology.ts'
import { type BrowserAnswer, createBrowser } from '../../roles/control/console-client.ts'
import { meanwhile } from '../../roles/control/meanwhile.ts'
import { createStage, type Stage } from '../../roles/control/stage.ts'

const directory = mkdtempSync(join(tmpdir(), 'caracal-allowlist-'))
const path = allowlistPath(directory)
const test = seam('the list is a file of this machine')
const password = 'correct horse battery'
let stage: Stage

beforeAll(async () => {
  if (inOneProcess) stage = await createStage({ settings: { CARACAL_SECRETS_DIR: directory } })
})
afterAll(async () => {
  await stage?.[Symbol.asyncDispose]()
  rmSync(directory, { recursive: true })
})
beforeEach(async () => {
  await stage.forgetCounters()
  rmSync(path, { force: true })
})

const listed = (...entries: [string, Standing][]) => writeAllowlist(path, new Map(entries))
const outcome = ({ status, body }: BrowserAnswer) => [status, body.error]
const address = () => `person-${uuidv7()}@example.com`

async function registered(email = address()) {
  const browser = createBrowser(stage.control.app)
  const answer = await browser.send('POST', '/auth/register', { email, password })
  if (answer.status !== 201) throw new Error(answer.text)
  await browser.signIn({ email, password })
  return { browser, email, id: answer.body.user.id as string }
}

test('59: locked means out with the next request, unlocked means back in', async () => {
  const email = address()
  listed([email, 'active'])
  const { browser } = await registered(email)
  expect((await browser.send('GET', '/auth/session')).body.user.email).toBe(email)
  listed([email, 'locked'])
  expect(outcome(await browser.send('GET', '/v1/zones'))).toEqual([403, 'access_denied'])
  expect(outcome(await browser.send('GET', '/v1/zones'))).toEqual([401, 'unauthenticated'])
  expect(outcome(await browser.signIn({ email, password }))).toEqual([403, 'access_denied'])
  listed([email, 'active'])
  expect((await browser.signIn({ email, password })).status).toBe(200)
  expect((await browser.send('GET', '/auth/session')).status).toBe(200)
  writeFileSync(path, '{"emails":{"broken')
  expect(outcome(await browser.send('GET', '/auth/session'))).toEqual([403, 'access_denied'])
  expect(
    outcome(
      await createBrowser(stage.control.app).send('POST', '/auth/register', { email: address(), password }),
    ),
  ).toEqual([403, 'registration_not_permitted'])
  // Only denied: whoever mends the file finds the account where it was.
  listed(['@example.com', 'active'])
  expect((await browser.signIn({ email, password })).status).toBe(200)
})

test('59: removed forgets the account', async () => {
  const { browser, email, id } = await registered()
  listed([email, 'removed'])
  expect(outcome(await browser.send('GET', '/auth/session'))).toEqual([403, 'access_denied'])
  expect(await stage.database.admin`select 1 from console_accounts where id = ${id}`).toEqual([])
  listed([email, 'active'])
  expect(outcome(await browser.signIn({ email, password }))).toEqual([401, 'invalid_credentials'])
  expect((await registered(email)).id).not.toBe(id)
})

test('an account holds what its bindings say and signs as itself', async () => {
  const { browser, id, email } = await registered()
  expect((await browser.send('GET', '/v1/zones')).body.items).toEqual([])
  const zone = await stage.zone()
  expect(outcome(await browser.send('GET', `/v1/zones/${zone}`))).toEqual([403, 'forbidden'])
  const foreign = await stage.zone()
  expect(outcome(await browser.send('GET', `/coord/zones/${zone}/agents`))).toEqual([403, 'zone_forbidden'])
  const bound = await stage.send('POST', `/v1/zones/${zone}/role-bindings`, {
    role_name: 'zone-admin',
    subject: { kind: 'account', name: email },
  })
  expect(bound.status, bound.text).toBe(201)
  expect(bound.body.subject).toEqual({ kind: 'account', id, name: email })
  const zones = await browser.send('GET', '/v1/zones')
  expect(zones.body.items.map((row: { id: string }) => row.id)).toEqual([zone])
  expect(outcome(await browser.send('GET', `/v1/zones/${foreign}`))).toEqual([403, 'forbidden'])
  expect((await browser.send('GET', `/coord/zones/${zone}/agents`)).status).toBe(200)
  expect(outcome(await browser.send('GET', `/coord/zones/${foreign}/agents`))).toEqual([
    403,
    'zone_forbidden',
  ])
  const made = await browser.send('POST', `/v1/zones/${zone}/applications`, {
    name: 'Mine',
    registration_method: 'managed',
  })
  expect(made.status).toBe(201)
  expect(made.body.created_by).toBe(`console:${id}`)
  const names = await browser.send('GET', `/profiles?ids=${id},console:${id}`)
  expect(names.body.profiles).toEqual([
    { id, name: email },
    { id: `console:${id}`, name: email },
  ])
  const report = (await browser.send('GET', '/diagnostics')).body
  expect(report.context).toMatchObject({ zoneScope: 'zone', zoneIds: [zone] })
})

test('an account owns the zone it makes, and only that', async () => {
  const { browser, id } = await registered()
  const { browser: other } = await registered()
  const made = await browser.send('POST', '/v1/zones', { name: 'Own zone' })
  expect(made.status, made.text).toBe(201)
  const zone = made.body.id as string
  expect(made.body.created_by).toBe(`console:${id}`)
  const [row] = await stage.database.admin`select owner_account_id from zones where id = ${zone}`
  expect(row?.owner_account_id).toBe(id)
  expect((await browser.send('GET', '/v1/zones')).body.items.map((one: { id: string }) => one.id)).toEqual([
    zone,
  ])
  const application = { name: 'Mine', registration_method: 'managed' }
  expect((await browser.send('POST', `/v1/zones/${zone}/applications`, application)).status).toBe(201)
  expect((await browser.send('PATCH', `/v1/zones/${zone}`, { name: 'Renamed' })).status).toBe(200)
  expect((await other.send('GET', '/v1/zones')).body.items).toEqual([])
  expect(outcome(await other.send('GET', `/v1/zones/${zone}`))).toEqual([403, 'forbidden'])
  // The same name elsewhere: its slug is another, though nothing of the first zone is seen.
  const second = await other.send('POST', '/v1/zones', { name: 'Own zone' })
  expect(second.body.slug).not.toBe(made.body.slug)
  const grant = { role_name: 'viewer', subject: { kind: 'account', id } }
  expect(outcome(await browser.send('POST', `/v1/zones/${zone}/role-bindings`, grant))).toEqual([
    403,
    'forbidden',
  ])
  for (const path of ['/v1/admin-tokens', '/v1/service-accounts'])
    expect((await browser.send('GET', path)).status, path).toBe(403)
  expect((await browser.send('DELETE', `/v1/zones/${zone}`)).status).toBe(204)
})

test('a new password ends the other sessions', async () => {
  const { browser, email } = await registered()
  const other = createBrowser(stage.control.app)
  await other.signIn({ email, password })
  const change = (current_password: string, new_password: string) =>
    browser.send('POST', '/auth/password', { current_password, new_password })
  expect(outcome(await change('wrong', 'another battery'))).toEqual([403, 'current_password_invalid'])
  expect((await change(password, 'short')).status).toBe(400)
  expect((await change(password, 'another battery')).status).toBe(204)
  expect((await other.send('GET', '/auth/session')).status).toBe(401)
  expect((await browser.send('GET', '/auth/session')).status).toBe(200)
  expect((await other.signIn({ email, password })).status).toBe(401)
  expect((await other.signIn({ email, password: 'another battery' })).status).toBe(200)
})

describe('a proof that ends before what it is for begins', () => {
  const change = (id: string, passwordHash: string) => (sql: Tx['sql']) =>
    sql`update console_accounts set password_hash = ${passwordHash} where id = ${id}`

  test('who knows the old password has no session beside the new one', async () => {
    const { email, id } = await registered()
    const other = createBrowser(stage.control.app)
    const hash = await stage.hasher.hashChosen('another horse battery')
    const refused = await meanwhile(stage.database, change(id, hash), () => other.signIn({ email, password }))
    expect([outcome(refused), refused.headers.getSetCookie()]).toEqual([[401, 'unauthenticated'], []])
    expect((await other.signIn({ email, password: 'another horse battery' })).status).toBe(200)
  })

  test('the new password is not replaced by who knew the old one', async () => {
    const { browser, email, id } = await registered()
    const hash = await stage.hasher.hashChosen('another horse battery')
    const refused = await meanwhile(stage.database, change(id, hash), () =>
      browser.send('POST', '/auth/password', {
        current_password: password,
        new_password: 'the password of a stranger',
      }),
    )
    expect(outcome(refused)).toEqual([403, 'current_password_invalid'])
    expect((await browser.signIn({ email, password: 'another horse battery' })).status).toBe(200)
  })

  test('nobody signs in to an account that is deleted', async () => {
    const { email, id } = await registered()
    const refused = await meanwhile(
      stage.database,
      (sql) => sql`delete from console_accounts where id = ${id}`,
      () => createBrowser(stage.control.app).signIn({ email, password }),
    )
    expect(outcome(refused)).toEqual([401, 'unauthenticated'])
  })
})

test('signing in correctly from eight places at once works in all of them', async () => {
  const { email } = await registered()
  const signIns = Array.from({ length: 8 }, () =>
    createBrowser(stage.control.app).signIn({ email, password }),
  )
  expect((await Promise.all(signIns)).map(({ status }) => status)).toEqual(Array(8).fill(200))
})

test.each(['a\0b@example.com', 'a\ud800b@example.com'])(
  'an address that nobody could write down is refused: %j',
  async (email) => {
    const browser = createBrowser(stage.control.app)
    const refused = [400, 'invalid_body']
    expect(outcome(await browser.signIn({ email, password }))).toEqual(refused)
    expect(outcome(await browser.send('POST', '/auth/register', { email, password }))).toEqual(refused)
    expect(outcome(await browser.send('POST', '/auth/password-reset', { email }))).toEqual(refused)
  },
)

test('registration is bounded, and closed to who is not on the list', async () => {
  const browser = createBrowser(stage.control.app)
  const email = address()
  const register = (body: object) => browser.send('POST', '/auth/register', body)
  await leftOfMinute()
  expect((await register({ email, password: 'short' })).status).toBe(400)
  expect((await register({ email: 'nobody', password })).status).toBe(400)
  listed(['@elsewhere.example', 'active'])
  expect(outcome(await register({ email, password }))).toEqual([403, 'registration_not_permitted'])
  expect(outcome(await register({ email: 'a@b@elsewhere.example', password }))).toEqual([400, 'invalid_body'])
  expect(
    (await register({ email: email.replace('example.com', 'Elsewhere.Example'), password })).status,
  ).toBe(201)
  expect((await register({ email, password })).status).toBe(429)
})

test('outside of dev nobody registers without a mail server, and an address that nobody verified stays out', async () => {
  const { email } = await registered()
  const { control } = await stage.replica({ CARACAL_MODE: 'stable', CARACAL_OPEN_REGISTRATION: true })
  const browser = createBrowser(control.app)
  expect(outcome(await browser.send('POST', '/auth/register', { email: address(), password }))).toEqual([
    403,
    'registration_not_permitted',
  ])
  expect(outcome(await browser.signIn({ email, password }))).toEqual([403, 'email_not_verified'])
  await stage.database.admin`update console_accounts set verified_at = now() where email = ${email}`
  const answer = await browser.signIn({ email, password })
  expect(answer.status).toBe(200)
  expect(answer.headers.getSetCookie()[0]).toMatch(/^__Host-caracal_session=.*; Secure/)
})
