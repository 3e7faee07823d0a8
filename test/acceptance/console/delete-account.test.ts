/** The end of a console account by its own hand (sdk-cli-console §13.4, "Settings: danger"). */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { uuidv7 } from '../../../src/platform/ids.ts'
import { seam } from '../../fixtures/seam.ts'
import { type Browser, type BrowserAnswer, createBrowser } from '../../roles/control/console-client.ts'
import { meanwhile } from '../../roles/control/meanwhile.ts'
import { adminToken, createStage, type Stage } from '../../roles/control/stage.ts'

const password = 'correct horse battery'
let stage: Stage

beforeAll(async () => {
  stage = await createStage()
})
afterAll(() => stage?.[Symbol.asyncDispose]())
beforeEach(() => stage.forgetCounters())

const outcome = ({ status, body }: BrowserAnswer) => [status, body.error]

async function registered() {
  const browser = createBrowser(stage.control.app)
  const email = `person-${uuidv7()}@example.com`
  const answer = await browser.send('POST', '/auth/register', { email, password })
  if (answer.status !== 201) throw new Error(answer.text)
  await browser.signIn({ email, password })
  return { browser, email, id: answer.body.user.id as string }
}

async function zoneOf(browser: Browser, name = 'Own zone'): Promise<string> {
  const made = await browser.send('POST', '/v1/zones', { name })
  if (made.status !== 201) throw new Error(made.text)
  return made.body.id
}

const remove = (browser: Browser, body: object) => browser.send('DELETE', '/auth/account', body)
const isLive = async (zone: string) => (await stage.send('GET', `/v1/zones/${zone}`)).status === 200
const knows = async (id: string) =>
  (await stage.database.admin`select 1 from console_accounts where id = ${id}`).length > 0

describe('deleting one’s own account', () => {
  test('ends its sessions, its bindings and its zones, and leaves those of others', async () => {
    const { browser, email, id } = await registered()
    const own = await zoneOf(browser)
    const foreign = await stage.zone()
    await stage.send('POST', `/v1/zones/${foreign}/role-bindings`, {
      role_name: 'zone-admin',
      subject: { kind: 'account', name: email },
    })
    const elsewhere = createBrowser(stage.control.app)
    await elsewhere.signIn({ email, password })
    const shown = await browser.send('GET', '/auth/account')
    expect(shown.body).toEqual({
      id,
      email,
      has_password: true,
      zones: [{ id: own, name: 'Own zone', slug: expect.stringMatching(/^own-zone/) }],
    })

    const gone = await remove(browser, { email: email.toUpperCase(), password, zones: [own] })
    expect(gone.status, gone.text).toBe(204)
    expect(gone.headers.getSetCookie()[0]).toMatch(/caracal_session=;/)
    for (const one of [browser, elsewhere])
      expect(outcome(await one.send('GET', '/v1/zones'))).toEqual([401, 'unauthenticated'])
    expect(outcome(await browser.signIn({ email, password }))).toEqual([401, 'invalid_credentials'])
    expect([await isLive(own), await isLive(foreign)]).toEqual([false, true])
    expect(await stage.database.admin`select 1 from role_bindings where subject_id = ${id}`).toEqual([])
    const [zone] = await stage.database.admin`select updated_by from zones where id = ${own}`
    expect(zone?.updated_by).toBe(`console:${id}`)

    const rows = await stage.database.admin`
      select zone_id, actor_id, actor_name, action, entity_type, entity_id, status_code, payload_json
      from admin_audit_events where request_id = ${gone.headers.get('x-request-id')} order by zone_id`
    const by = { actor_id: id, actor_name: email, status_code: 204 }
    expect(rows).toEqual([
      {
        ...by,
        zone_id: own,
        action: `DELETE /v1/zones/${own}`,
        entity_type: 'zones',
        entity_id: own,
        payload_json: expect.objectContaining({ change_kind: 'delete', with_account: id }),
      },
      {
        ...by,
        zone_id: null,
        action: 'DELETE /api/console/auth/account',
        entity_type: 'console-accounts',
        entity_id: id,
        payload_json: expect.objectContaining({ change_kind: 'delete', zones: [own] }),
      },
    ])
    // Whoever registers the address next is somebody else.
    await browser.send('POST', '/auth/register', { email, password })
    await browser.signIn({ email, password })
    expect((await browser.send('GET', '/v1/zones')).body.items).toEqual([])
  })

  test('is refused without the address, the password and the zones that go, and then changes nothing', async () => {
    const { browser, email, id } = await registered()
    const zone = await zoneOf(browser)
    const whole = { email, password, zones: [zone] }
    for (const [body, expected] of [
      [{ ...whole, email: 'somebody@example.com' }, [400, 'confirmation_mismatch']],
      [{ ...whole, password: 'wrong' }, [403, 'current_password_invalid']],
      [{ email, zones: [zone] }, [403, 'current_password_invalid']],
      [{ ...whole, zones: [] }, [409, 'owned_zones_changed']],
      [{ ...whole, zones: [zone, await stage.zone()] }, [409, 'owned_zones_changed']],
      [{ ...whole, zones: [zone, zone] }, [409, 'owned_zones_changed']],
      [{ email, password }, [400, 'invalid_body']],
      [{ ...whole, everything: true }, [400, 'invalid_body']],
    ] as const)
      expect(outcome(await remove(browser, body))).toEqual(expected)
    const foreign = { origin: 'https://elsewhere.example' }
    expect((await browser.send('DELETE', '/auth/account', whole, foreign)).status).toBe(403)
    expect((await remove(createBrowser(stage.control.app), whole)).status).toBe(401)
    expect((await browser.send('GET', '/auth/session')).status).toBe(200)
    expect([await isLive(zone), await knows(id)]).toEqual([true, true])
  })

  test('a token has no account, and is told', async () => {
    const browser = createBrowser(stage.control.app)
    await browser.signIn({ token: adminToken })
    const expected = [403, 'console_account_required']
    expect(outcome(await browser.send('GET', '/auth/account'))).toEqual(expected)
    expect(outcome(await remove(browser, { email: 'x@example.com', zones: [] }))).toEqual(expected)
    expect((await browser.send('GET', '/auth/session')).status).toBe(200)
  })

  test('a zone that was taken from the account stays', async () => {
    const { browser, email, id } = await registered()
    const zone = await zoneOf(browser)
    const bindings = await stage.send('GET', `/v1/zones/${zone}/role-bindings`)
    for (const { id: binding } of bindings.body.items)
      expect((await stage.send('DELETE', `/v1/zones/${zone}/role-bindings/${binding}`)).status).toBe(204)
    expect((await browser.send('GET', '/auth/account')).body.zones).toEqual([])
    expect((await remove(browser, { email, password, zones: [] })).status).toBe(204)
    expect([await isLive(zone), await knows(id)]).toEqual([true, false])
  })

  test('a zone that is made at the same moment is not ended unseen, and none is left to nobody', async () => {
    const { browser, email, id } = await registered()
    const late = uuidv7()
    const refused = await meanwhile(
      stage.database,
      async (sql) => {
        await sql`select 1 from console_accounts where id = ${id} for key share`
        await sql`insert into zones (id, name, slug, owner_account_id) values (${late}, 'Late', ${late}, ${id})`
      },
      () => remove(browser, { email, password, zones: [] }),
    )
    expect(outcome(refused)).toEqual([409, 'owned_zones_changed'])
    expect(await isLive(late)).toBe(true)
    const unmade = await meanwhile(
      stage.database,
      (sql) => sql`delete from console_accounts where id = ${id}`,
      () => browser.send('POST', '/v1/zones', { name: 'Too late' }),
    )
    expect(outcome(unmade)).toEqual([401, 'unauthenticated'])
    const owned = await stage.database.admin`select id from zones where owner_account_id = ${id}`
    expect(owned).toEqual([{ id: late }])
  })

  test('who knows the old password does not delete it beside the new one', async () => {
    const { browser, email, id } = await registered()
    const refused = await meanwhile(
      stage.database,
      (sql) => sql`update console_accounts set password_hash = 'another' where id = ${id}`,
      () => remove(browser, { email, password, zones: [] }),
    )
    expect(outcome(refused)).toEqual([401, 'unauthenticated'])
    expect(await knows(id)).toBe(true)
  })

  test('of two at once one deletes it', async () => {
    const { browser, email } = await registered()
    const zone = await zoneOf(browser)
    const answers = await Promise.all(
      Array.from({ length: 2 }, () => remove(browser, { email, password, zones: [zone] })),
    )
    expect(answers.filter(({ status }) => status === 204)).toHaveLength(1)
    expect(await isLive(zone)).toBe(false)
  })

  seam('breaks the ledger')('what cannot be recorded does not happen', async () => {
    await using broken = await createStage()
    const browser = createBrowser(broken.control.app)
    const email = `person-${uuidv7()}@example.com`
    await browser.send('POST', '/auth/register', { email, password })
    await browser.signIn({ email, password })
    const made = await browser.send('POST', '/v1/zones', { name: 'Kept' })
    await broken.database.admin`alter table admin_audit_events add constraint shut check (false) not valid`
    const answer = await remove(browser, { email, password, zones: [made.body.id] })
    expect(answer.status).toBe(500)
    expect((await browser.send('GET', '/auth/session')).status).toBe(200)
    const [row] = await broken.database.admin`select archived_at from zones where id = ${made.body.id}`
    expect(row?.archived_at).toBe(null)
  })
})
