/** The web console's API (sdk-cli-console §13.2, §13.3 and §16, checks 62–65 and 67–69). */
import { Writable } from 'node:stream'
import pino from 'pino'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { uuidv7 } from '../../../src/platform/ids.ts'
import { redactFields } from '../../../src/platform/observe/redact.ts'
import { jobContext } from '../../fixtures/job-context.ts'
import { leftOfMinute } from '../../fixtures/minute.ts'
import { seam } from '../../fixtures/seam.ts'
import { activatePolicy, grantsDocument, seedDelegation, seedZone } from '../../fixtures/zone.ts'
import {
  type Browser,
  type BrowserAnswer,
  createBrowser,
  origin,
} from '../../roles/control/console-client.ts'
import { adminToken, createStage, type Stage } from '../../roles/control/stage.ts'

let stage: Stage
beforeAll(async () => {
  stage = await createStage()
})
afterAll(() => stage[Symbol.asyncDispose]())
beforeEach(() => stage.forgetCounters())

const outcome = ({ status, body }: BrowserAnswer) => [status, body.error]

async function signedIn(token: string = adminToken): Promise<Browser> {
  const browser = createBrowser(stage.control.app)
  const answer = await browser.signIn({ token })
  if (answer.status !== 200) throw new Error(`not signed in: ${answer.text}`)
  return browser
}

async function tokenOf(input: object): Promise<{ id: string; token: string }> {
  const made = await stage.send('POST', '/v1/admin-tokens', { name: `token ${uuidv7()}`, ...input })
  if (made.status !== 201) throw new Error(made.text)
  return { id: made.body.id, token: made.body.token }
}

describe('signing in (sdk-cli-console §16)', () => {
  test('62: no cookie, a wrong token, and the eleventh try of a minute', async () => {
    const browser = createBrowser(stage.control.app)
    const refused = await browser.send('GET', '/v1/zones')
    expect(outcome(refused)).toEqual([401, 'unauthenticated'])
    expect(refused.headers.get('x-frame-options')).toBe('DENY')
    expect(refused.headers.get('cache-control')).toBe('no-store')
    expect(refused.headers.get('x-request-id')).toBeTruthy()
    await leftOfMinute()
    for (let attempt = 1; attempt <= 10; attempt += 1)
      expect(outcome(await browser.signIn({ token: `cat_wrong_${attempt}` }))).toEqual([
        401,
        'invalid_admin_token',
      ])
    const last = await browser.signIn({ token: adminToken })
    expect(outcome(last)).toEqual([429, 'rate_limited'])
    expect(Number(last.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(browser.cookie()).toBe('')
  })

  seam('looks at the cookie of mode dev')(
    'a session says whose it is, and only its keyed hash is stored',
    async () => {
      const browser = createBrowser(stage.control.app)
      const answer = await browser.signIn({ token: adminToken })
      const [set] = answer.headers.getSetCookie()
      expect(set).toMatch(
        /^caracal_session=[A-Za-z0-9_-]{43}; Max-Age=604800; Path=\/; HttpOnly; SameSite=Lax$/,
      )
      const seen = await browser.send('GET', '/auth/session')
      expect(seen.status).toBe(200)
      expect(seen.body).toEqual(answer.body)
      expect(seen.body).toMatchObject({
        user: { id: expect.any(String), name: expect.any(String), email: null },
        capability: 'write',
        zone_id: null,
        bootstrap: true,
      })
      const ends = Date.parse(seen.body.expires_at) - Date.now()
      expect(Math.abs(ends - 7 * 86_400_000)).toBeLessThan(60_000)
      const rows = await stage.database.admin<{ row: string }[]>`
      select to_jsonb(s)::text as row from console_sessions s`
      const secret = browser.cookie().split('=')[1] ?? ''
      expect(rows.some(({ row }) => row.includes('hmac-sha256$'))).toBe(true)
      for (const { row } of rows) expect(row).not.toContain(secret)
      expect(outcome(await createBrowser(stage.control.app).send('GET', '/auth/session'))).toEqual([
        401,
        'unauthenticated',
      ])
      const config = await createBrowser(stage.control.app).send('GET', '/auth/config')
      expect(config.body).toEqual({
        token: true,
        email: true,
        social: [],
        passwordReset: false,
        registration: 'open',
      })
    },
  )

  test('63: a change comes from the console itself or not at all', async () => {
    const browser = await signedIn()
    const name = `Zone ${uuidv7()}`
    const evil = { origin: 'https://evil' }
    expect(outcome(await browser.send('POST', '/v1/zones', { name }, evil))).toEqual([
      403,
      'cross_site_request_blocked',
    ])
    const bare = (headers: Record<string, string>) =>
      stage.control.app.request('/api/console/v1/zones', {
        method: 'POST',
        headers: { cookie: browser.cookie(), 'content-type': 'application/json', ...headers },
        body: JSON.stringify({ name }),
      })
    expect((await bare({})).status).toBe(403)
    expect((await bare({ origin: 'null' })).status).toBe(403)
    expect((await bare({ referer: 'https://evil/console' })).status).toBe(403)
    // A name that was rebound to this machine is the host and the origin alike.
    expect((await bare({ host: 'evil.example:3001', origin: 'http://evil.example:3001' })).status).toBe(403)
    for (const [method, path] of [
      ['POST', '/auth/session'],
      ['DELETE', '/auth/session'],
    ] as const)
      expect(outcome(await browser.send(method, path, { token: adminToken }, evil))).toEqual([
        403,
        'cross_site_request_blocked',
      ])
    const found = await stage.database.admin`select 1 from zones where name = ${name}`
    expect(found).toHaveLength(0)
    expect((await bare({ referer: `${origin}/zones` })).status).toBe(201)
    expect((await browser.send('POST', '/v1/zones', { name: `${name} own` })).status).toBe(201)
  })

  seam('speaks with hosts that a proxy would not pass on')(
    '63: the host of the request itself counts',
    async () => {
      const browser = await signedIn()
      const from = async (host: string, source: string) =>
        (
          await stage.control.app.request(`http://${host}/api/console/v1/zones`, {
            method: 'POST',
            headers: { cookie: browser.cookie(), origin: source, 'content-type': 'application/json' },
            body: JSON.stringify({ name: `Zone ${uuidv7()}` }),
          })
        ).status
      expect(await from('127.0.0.1:3000', 'http://127.0.0.1:3000')).toBe(201)
      expect(await from('[::1]:3000', 'http://[::1]:3000')).toBe(201)
      expect(await from('localhost:3000', 'http://localhost:3000')).toBe(201)
      expect(await from('127.0.0.1:3000', 'http://127.0.0.1:3999')).toBe(403)
      expect(await from('127.0.0.1:3000', 'https://127.0.0.1:3000')).toBe(403)
      expect(await from('rebound.example', 'http://rebound.example')).toBe(403)
    },
  )

  test('64: a path that climbs out is not there', async () => {
    const browser = await signedIn()
    for (const path of [
      '/v1/../metrics',
      '/v1/%2e%2e/metrics',
      '/v1/..%2fmetrics',
      '/v1/a%5c..%5cb',
      '/v1/%2E%2E',
    ])
      expect((await browser.send('GET', path)).status, path).toBe(404)
  })

  test('65: signed out is signed out, and nothing extends seven days', async () => {
    const browser = await signedIn()
    const before = browser.cookie()
    expect((await browser.send('GET', '/v1/zones')).status).toBe(200)
    const left = await browser.send('DELETE', '/auth/session')
    expect(left.status).toBe(204)
    expect(left.headers.getSetCookie().join()).toMatch(/caracal_session=;.*Max-Age=0/)
    const replay = createBrowser(stage.control.app, before)
    expect(outcome(await replay.send('GET', '/v1/zones'))).toEqual([401, 'unauthenticated'])

    const old = await signedIn()
    const ends = (await old.send('GET', '/auth/session')).body.expires_at
    await old.send('GET', '/v1/zones')
    expect((await old.send('GET', '/auth/session')).body.expires_at).toBe(ends)
    await stage.database.admin`
      update console_sessions set expires_at = now() - interval '1 second'
      where date_trunc('milliseconds', expires_at) = ${ends}`
    expect(outcome(await old.send('GET', '/v1/zones'))).toEqual([401, 'unauthenticated'])
  })

  test('a revoked token ends its sessions at once; a second sign-in ends the first', async () => {
    const { id, token } = await tokenOf({ scope: 'global', capability: 'write' })
    const browser = await signedIn(token)
    expect((await browser.send('GET', '/v1/zones')).status).toBe(200)
    const first = browser.cookie()
    await browser.signIn({ token })
    expect((await createBrowser(stage.control.app, first).send('GET', '/v1/zones')).status).toBe(401)
    expect((await browser.send('GET', '/v1/zones')).status).toBe(200)
    expect((await stage.send('DELETE', `/v1/admin-tokens/${id}`)).status).toBe(204)
    expect(outcome(await browser.send('GET', '/v1/zones'))).toEqual([401, 'unauthenticated'])
  })

  test('an operator sees and ends their own sessions alone', async () => {
    const { token } = await tokenOf({ scope: 'global', capability: 'read' })
    const [one, other] = [await signedIn(token), await signedIn(token)]
    const stranger = await signedIn()
    const list = (await one.send('GET', '/auth/sessions')).body.items
    expect(list.map((row: { current: boolean }) => row.current).sort()).toEqual([false, true])
    const [theirs] = list.filter((row: { current: boolean }) => !row.current)
    expect((await stranger.send('DELETE', `/auth/sessions/${theirs.id}`)).status).toBe(404)
    expect(outcome(await one.send('DELETE', '/auth/sessions/a%00b'))).toEqual([
      404,
      'console_session_not_found',
    ])
    expect((await one.send('DELETE', `/auth/sessions/${theirs.id}`)).status).toBe(204)
    expect((await other.send('GET', '/auth/session')).status).toBe(401)
    expect((await one.send('GET', '/auth/session')).status).toBe(200)
  })
})

describe('the management API as the operator', () => {
  test('a change carries the operator and the request id, whatever the page claims', async () => {
    const browser = await signedIn()
    const { user } = (await browser.send('GET', '/auth/session')).body
    const requestId = `console-${uuidv7()}`
    const made = await browser.send(
      'POST',
      '/v1/zones',
      { name: 'Attributed' },
      {
        'x-request-id': requestId,
        'x-caracal-authorized-by': 'somebody else',
        'x-caracal-account': 'v1.x.1.y',
        authorization: 'Bearer nonsense',
        'x-api-key': 'nonsense',
      },
    )
    expect(made.status).toBe(201)
    expect(made.headers.get('x-request-id')).toBe(requestId)
    expect(made.body.created_by).toBe(`admin:${user.id}`)
    const rows = await stage.database.admin<{ actor_token_id: string; request_id: string }[]>`
      select * from admin_audit_events where request_id = ${requestId}`
    expect(rows).toHaveLength(1)
    expect(JSON.stringify(rows[0])).toContain(user.id)
  })

  test('what a token may not do, its session may not', async () => {
    const zone = await stage.zone()
    const foreign = await stage.zone()
    const reader = await signedIn((await tokenOf({ scope: 'global', capability: 'read' })).token)
    expect(outcome(await reader.send('POST', '/v1/zones', { name: 'x' }))).toEqual([
      403,
      'admin_token_read_only',
    ])
    const confined = await signedIn(
      (await tokenOf({ scope: 'zone', zone_id: zone, capability: 'write' })).token,
    )
    expect((await confined.send('GET', `/v1/zones/${zone}`)).status).toBe(200)
    expect(outcome(await confined.send('GET', `/v1/zones/${foreign}`))).toEqual([
      403,
      'admin_token_zone_mismatch',
    ])
    expect((await confined.send('GET', '/auth/session')).body.zone_id).toBe(zone)
    expect((await reader.send('GET', '/v1/nope')).status).toBe(404)
    expect((await reader.send('GET', '/nope')).status).toBe(404)
    expect((await createBrowser(stage.control.app).send('GET', '/nope')).status).toBe(401)
  })

  test('a body over a megabyte is refused', async () => {
    const browser = await signedIn()
    const answer = await browser.send('POST', '/v1/zones', { name: 'a'.repeat(1_048_577) })
    expect(outcome(answer)).toEqual([413, 'payload_too_large'])
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff')
  })

  test('67: an approval on the page lets the waiting call go on; a subject decides its own', async () => {
    const browser = await signedIn()
    const zone = await stage.zone()
    const app = await stage.send('POST', `/v1/zones/${zone}/applications`, {
      name: 'Waits',
      registration_method: 'managed',
    })
    const hold = async (approver: 'operator' | 'subject') => {
      const id = uuidv7()
      await stage.database.admin`
        insert into step_up_challenges
          (id, zone_id, session_id, challenge_type, metadata_json, expires_at, principal_id, resource_set_hash,
           application_id, tier, approver_class)
        values (${id}, ${zone}, '', 'human_approval', '{}', now() + interval '10 minutes', ${uuidv7()},
          ${Buffer.alloc(32, 7)}, ${app.body.id}, 'high', ${approver})`
      return id
    }
    const held = await hold('operator')
    const waiting = Promise.resolve(stage.sts.app.request(`/approvals/${held}?wait=20`))
    const approved = await browser.send('POST', `/v1/zones/${zone}/approvals/${held}/approve`, {
      reason: 'fine',
    })
    expect(approved.status).toBe(200)
    expect(approved.body.approver_subject_id).toMatch(/^admin:/)
    expect(await (await waiting).json()).toMatchObject({ state: 'approved' })
    const own = await hold('subject')
    expect(outcome(await browser.send('POST', `/v1/zones/${zone}/approvals/${own}/approve`))).toEqual([
      403,
      'subject_approval_required',
    ])
  })
})

seam('asks in a method that no client here can')('a method that cannot be sent on is not there', async () => {
  const browser = await signedIn()
  const request = new Request(`${origin}/api/console/v1/zones`, {
    method: 'POST',
    headers: { cookie: browser.cookie(), origin },
  })
  const traced = new Proxy(request, {
    get: (target, name) => (name === 'method' ? 'TRACE' : Reflect.get(target, name, target)),
  })
  expect((await stage.control.app.fetch(traced)).status).toBe(404)
})

describe('the coordinator for the operator', () => {
  test('68: a session that is terminated on the page mints no more', async () => {
    const browser = await signedIn()
    const zone = await seedZone(stage.database.db, stage.hasher)
    await activatePolicy(stage.database.db, zone.zoneId, [
      grantsDocument({
        app_ids: { own: zone.application.id },
        grants: {
          'resource://nucleus': { application: 'own', roles: { [zone.application.id]: ['nucleus:pay'] } },
        },
      }),
    ])
    const delegation = await seedDelegation(stage.database.db, zone)
    const mint = () =>
      stage.exchange({
        zone_id: zone.zoneId,
        application_id: zone.application.id,
        client_secret: zone.application.secret,
        resource: zone.resource.identifier,
        scope: 'nucleus:pay',
        agent_session_id: delegation.childSessionId,
        delegation_edge_id: delegation.edgeId,
      })
    expect((await mint()).status).toBe(200)
    const path = `/coord/zones/${zone.zoneId}/agents`
    const listed = await browser.send('GET', path)
    expect(listed.body.items).toHaveLength(2)
    const ended = await browser.send('DELETE', `${path}/${delegation.childSessionId}`)
    expect(ended.status, ended.text).toBeLessThan(300)
    const refused = await mint()
    expect([refused.status, refused.body.error]).toEqual([403, 'access_denied'])
    const { user } = (await browser.send('GET', '/auth/session')).body
    const [change] = await stage.database.admin`
      select actor_id, actor_name from admin_audit_events
      where zone_id = ${zone.zoneId} and method = 'DELETE'`
    expect(change).toEqual({ actor_id: 'caracal-operator', actor_name: `admin:${user.id} ${user.name}` })
  })

  test('reaches only zones that are the operator’s, and changes nothing for who may only read', async () => {
    const zone = await stage.zone()
    const foreign = await stage.zone()
    const admin = await signedIn()
    const path = (id: string) => `/coord/zones/${id}/agents`
    expect((await admin.send('GET', path(zone))).status).toBe(200)
    expect(outcome(await admin.send('GET', path(uuidv7())))).toEqual([404, 'zone_not_found'])
    expect((await admin.send('GET', '/coord/stats')).status).toBe(404)
    expect((await admin.send('GET', '/coord/zones/a%20b/agents')).status).toBe(404)

    const confined = await signedIn(
      (await tokenOf({ scope: 'zone', zone_id: zone, capability: 'write' })).token,
    )
    expect((await confined.send('GET', path(zone))).status).toBe(200)
    expect(outcome(await confined.send('GET', path(foreign)))).toEqual([403, 'zone_forbidden'])

    for (const capability of ['read', 'approve']) {
      const reader = await signedIn((await tokenOf({ scope: 'global', capability })).token)
      expect((await reader.send('GET', path(zone))).status).toBe(200)
      expect(outcome(await reader.send('DELETE', `${path(zone)}/${uuidv7()}`))).toEqual([
        403,
        'admin_token_read_only',
      ])
    }
    const system = uuidv7()
    await stage.database.admin`
      insert into zones (id, name, slug) values (${system}, ${`caracal.sys/${system}`}, ${`caracal-sys-${system}`})`
    expect(outcome(await admin.send('DELETE', `${path(system)}/${uuidv7()}`))).toEqual([
      403,
      'system_zone_read_only',
    ])
    expect((await admin.send('GET', path(system))).status).toBe(200)
  })
})

describe('the system zone', () => {
  test('is shown to who may see it, and changed through the console by nobody', async () => {
    const made = await stage.send('POST', '/v1/zones', { name: `caracal.sys/${uuidv7()}` })
    const system = made.body.id as string
    const zone = await stage.zone()
    const shownTo = async (browser: Browser) => {
      const { body } = await browser.send('GET', '/system-zones')
      return body.items.map(({ id }: { id: string }) => id)
    }
    const admin = await signedIn()
    expect(await shownTo(admin)).toContain(system)
    expect(await shownTo(admin)).not.toContain(zone)
    const reader = await signedIn((await tokenOf({ scope: 'global', capability: 'read' })).token)
    expect(await shownTo(reader)).toContain(system)
    expect((await reader.send('GET', `/v1/zones/${system}/applications`)).status).toBe(200)
    for (const [where, ids] of [
      [zone, []],
      [system, [system]],
    ] as const) {
      const { token } = await tokenOf({ scope: 'zone', zone_id: where, capability: 'write' })
      expect(await shownTo(await signedIn(token))).toEqual(ids)
    }
    expect((await createBrowser(stage.control.app).send('GET', '/system-zones')).status).toBe(401)

    const application = { name: 'Mine', registration_method: 'managed' }
    const writer = await signedIn((await tokenOf({ scope: 'global', capability: 'write' })).token)
    for (const browser of [admin, writer])
      for (const [method, path, body] of [
        ['PATCH', `/v1/zones/${system}`, { name: 'Ours' }],
        ['POST', `/v1/zones/${system}/applications`, application],
        ['POST', `/v1/zones/${encodeURIComponent(system).replace('-', '%2d')}/applications`, application],
        ['DELETE', `/v1/zones/${system}`, undefined],
      ] as const)
        expect([path, ...outcome(await browser.send(method, path, body))]).toEqual([
          path,
          403,
          'system_zone_read_only',
        ])
    // The API leaves it to the bootstrap token, as ever.
    expect((await stage.send('PATCH', `/v1/zones/${system}`, { dcr_enabled: false })).status).toBe(200)
  })
})

seam('takes the coordinator’s token away')('without a coordinator to ask the console says so', async () => {
  const { control } = await stage.replica({ CARACAL_COORDINATOR_TOKEN: null })
  const browser = createBrowser(control.app)
  await browser.signIn({ token: adminToken })
  const zone = await stage.zone()
  expect(outcome(await browser.send('GET', `/coord/zones/${zone}/agents`))).toEqual([
    503,
    'service_unconfigured',
  ])
  expect((await browser.send('GET', '/status')).body).toMatchObject({ coordinatorConfigured: false })
})

seam('runs a job of the role')('sessions that came to their end are removed', async () => {
  const browser = await signedIn()
  await stage.database.admin`update console_sessions set expires_at = now() - interval '1 minute'`
  const job = stage.control.jobs.find(({ name }) => name === 'console_session_retention')
  await job?.run(jobContext())
  expect(await stage.database.admin`select 1 from console_sessions`).toEqual([])
  expect((await browser.send('GET', '/auth/session')).status).toBe(401)
})

describe('what the console asks besides', () => {
  test('status, profiles and diagnostics', async () => {
    const browser = await signedIn()
    const { user } = (await browser.send('GET', '/auth/session')).body
    const { urls, ...status } = (await browser.send('GET', '/status')).body
    expect(status).toEqual({
      configured: true,
      reachable: true,
      coordinatorConfigured: true,
      coordinatorReachable: true,
    })
    for (const role of ['sts', 'coordinator', 'gateway']) expect(urls[role], role).toMatch(/^http:/)
    const profiles = await browser.send('GET', `/profiles?ids=admin:${user.id},admin:${uuidv7()},nobody`)
    expect(profiles.body).toEqual({ profiles: [{ id: `admin:${user.id}`, name: user.name }] })
    const many = Array.from({ length: 101 }, () => uuidv7()).join()
    expect((await browser.send('GET', `/profiles?ids=${many}`)).status).toBe(400)
    expect(outcome(await browser.send('GET', '/profiles?ids=a%00b'))).toEqual([400, 'invalid_query'])

    const zone = await stage.zone('Examined')
    const report = (await browser.send('GET', '/diagnostics')).body
    expect(report).toMatchObject({ command: 'doctor', mode: 'system', strict: false })
    expect(report.context.zoneIds).toContain(zone)
    expect(report.summary.total).toBe(report.checks.length)
    expect(report.ready).toBe(report.summary.fail === 0)
    for (const check of report.checks) expect(check.detail.length).toBeLessThanOrEqual(240)
    const named = (name: string) => report.checks.find((one: { check: string }) => one.check === name)
    expect(named('clock skew')).toMatchObject({ section: 'health', status: 'ok' })
    expect(named('coordinator')).toMatchObject({ section: 'readiness', status: 'ok' })
    expect(named('Examined: resources')).toMatchObject({ section: 'zones', status: 'warn' })
    expect((await createBrowser(stage.control.app).send('GET', '/diagnostics')).status).toBe(401)
  })

  seam('the report is remembered by one process')(
    'a report is remembered until something changes',
    async () => {
      const browser = await signedIn()
      const generated = async () => (await browser.send('GET', '/diagnostics')).body.generatedAt
      const first = await generated()
      expect(await generated()).toBe(first)
      await browser.send('POST', '/v1/zones', { name: 'Change' })
      expect(await generated()).not.toBe(first)
    },
  )
})

seam('reads the log of the roles')(
  '69: a revealed secret is in the evidence and in no line of the log',
  async () => {
    let written = ''
    const sink = new Writable({
      write(chunk: Buffer, _encoding, done) {
        written += chunk.toString()
        done()
      },
    })
    const log = pino({ level: 'trace', formatters: { log: (fields) => redactFields(fields, 0) } }, sink)
    await using watched = await createStage({ log })
    const browser = createBrowser(watched.control.app)
    const { user } = (await browser.signIn({ token: adminToken })).body
    const zone = await watched.zone()
    const made = await browser.send('POST', `/v1/zones/${zone}/applications`, {
      name: 'Agent',
      registration_method: 'managed',
    })
    const requestId = `reveal-${uuidv7()}`
    const path = `/v1/zones/${zone}/applications/${made.body.id}/client-secret`
    const shown = await browser.send('GET', path, undefined, { 'x-request-id': requestId })
    expect(shown.body.client_secret).toMatch(/^cs_/)
    const [row] = await watched.database.admin<{ payload_json: { data: string } }[]>`
    select payload_json from caracal_outbox where payload_json->>'data' like '%credential_revealed%'`
    const event = JSON.parse(row?.payload_json.data ?? '{}')
    expect(event).toMatchObject({ event_type: 'credential_revealed', request_id: requestId })
    expect(event.metadata_json.actor).toBe(`admin:${user.id}`)
    expect(
      await watched.database.admin`select 1 from admin_audit_events where request_id = ${requestId}`,
    ).toEqual([])
    const secrets = [shown.body.client_secret, browser.cookie().split('=')[1] ?? '-', adminToken]
    for (const secret of secrets) expect(written).not.toContain(secret)
    const change = written
      .split('\n')
      .filter((line) => line.includes('console_change'))
      .map((line) => JSON.parse(line))
    expect(change).toEqual([
      expect.objectContaining({
        operator_id: user.id,
        method: 'POST',
        path: `/api/console/v1/zones/${zone}/applications`,
        request_id: made.headers.get('x-request-id'),
      }),
    ])
  },
)
