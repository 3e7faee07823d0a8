import { rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createRedisEphemera } from '../../../src/platform/ephemera/redis.ts'
import { uuidv7 } from '../../../src/platform/ids.ts'
import { controlScopes } from '../../../src/roles/control/invoke/scopes.ts'
import { eventually } from '../../fixtures/eventually.ts'
import { leftOfMinute } from '../../fixtures/minute.ts'
import { seam } from '../../fixtures/seam.ts'
import { seedAuthorityRecord, seedSession } from '../../fixtures/zone.ts'
import { createCuttableProxy } from '../../platform/bus/cuttable-proxy.ts'
import { openRedisServer } from '../../platform/bus/redis-server.ts'
import { createStage, type Stage, tellsWhenToComeAgain } from '../../roles/control/stage.ts'

const gate = join(tmpdir(), `caracal-gate-${uuidv7()}`)
let stage: Stage
let zone: string
let key: { id: string; secret: string }

beforeAll(async () => {
  await writeFile(gate, '')
  stage = await createStage({
    settings: {
      CARACAL_CONTROL_ENABLED: true,
      CONTROL_GATE_FILE: gate,
      CONTROL_INVOKE_IP_RATE_LIMIT_PER_MIN: 0,
      CONTROL_RATE_CAPACITY: 10_000,
    },
  })
  zone = await stage.zone()
  key = await controlKey(controlScopes)
})
afterAll(async () => {
  await stage[Symbol.asyncDispose]()
  await rm(gate, { force: true })
})

async function controlKey(scopes: readonly string[], at = stage, inZone = zone) {
  const resource = await at.send('GET', `/v1/zones/${inZone}/resources`)
  if (resource.body.items.length === 0) {
    const made = await at.send('POST', `/v1/zones/${inZone}/resources`, {
      name: 'Control',
      identifier: 'caracal-control',
      scopes: controlScopes,
    })
    expect(made.status).toBe(201)
  }
  const app = await at.send('POST', `/v1/zones/${inZone}/applications`, {
    name: `key ${uuidv7()}`,
    registration_method: 'managed',
    traits: ['control:invoke', ...scopes.map((scope) => `control:scope:${scope}`)],
  })
  expect(app.status).toBe(201)
  return { id: app.body.id as string, secret: app.body.client_secret as string }
}

async function token(scopes: readonly string[], of = key, at = stage): Promise<string> {
  const form = new URLSearchParams({
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    application_id: of.id,
    client_secret: of.secret,
    resource: 'caracal-control',
    scope: scopes.join(' '),
  })
  const response = await at.sts.app.request('/oauth/2/token', {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: form.toString(),
  })
  const body = (await response.json()) as { access_token?: string }
  if (body.access_token === undefined) throw new Error(JSON.stringify(body))
  return body.access_token
}

interface Command {
  readonly command: string
  readonly subcommand?: string
  readonly flags?: Record<string, unknown>
}

const post = (bearer: string | null, body: unknown, headers: Record<string, string> = {}) =>
  stage.send('POST', '/v1/control/invoke', body, { token: bearer, headers })

async function invoke(body: Command, scopes: readonly string[] = controlScopes) {
  const answer = await post(await token(scopes), body)
  return { status: answer.status, ...answer.body }
}

/** The `control.invoke` events of a request. */
async function eventsOf(requestId: string) {
  const rows = await stage.database.admin<{ data: string }[]>`
    select payload_json->>'data' as data from caracal_outbox where request_id = ${requestId}`
  return rows.map((row) => JSON.parse(row.data)).filter((event) => event.event_type === 'control.invoke')
}

describe('Control invoke (control-api §16)', () => {
  test('45: without the gate file it is disabled, without a restart', async () => {
    await rm(gate)
    const answer = await post('x', { command: 'app', subcommand: 'list' })
    expect([answer.status, answer.body.ok, answer.body.error.code]).toEqual([503, false, 'control_disabled'])
    await writeFile(gate, '')
  })

  test('46: no token, a spent token and a burst are refused', async () => {
    const list = { command: 'app', subcommand: 'list' }
    expect((await post(null, list)).body.error.code).toBe('unauthorized')
    expect((await post('not-a-token', list)).status).toBe(401)
    const spent = await token(['control:app:read'])
    expect((await post(spent, { command: 'app', subcommand: 'create' })).status).toBe(403)
    const again = await post(spent, list)
    expect([again.status, again.body.error.code]).toEqual([401, 'token_replay'])
    const slow = await stage.replica({ CONTROL_INVOKE_IP_RATE_LIMIT_PER_MIN: 3, TRUST_PROXY: true })
    const options = { token: null, headers: { 'x-forwarded-for': '198.51.100.46' } }
    const answers = []
    await leftOfMinute()
    for (let call = 0; call < 5; call += 1) {
      answers.push(await slow.send('POST', '/v1/control/invoke', list, options))
    }
    expect(answers.map(({ status }) => status)).toEqual([401, 401, 401, 429, 429])
    expect(answers.slice(3).every(tellsWhenToComeAgain)).toBe(true)
  })

  seam('takes a table from everybody')('keys the store withholds are no fault of the token', async () => {
    await using own = await createStage({
      settings: { CARACAL_CONTROL_ENABLED: true, CONTROL_GATE_FILE: gate },
    })
    const ownKey = await controlKey(controlScopes, own, await own.zone())
    const bearer = await token(controlScopes, ownKey, own)
    await own.database.admin`alter table secrets rename to out_of_reach`
    const body = { command: 'app', subcommand: 'list' }
    const answer = await own.send('POST', '/v1/control/invoke', body, { token: bearer })
    expect([answer.status, answer.body.error.code]).toEqual([502, 'upstream'])
  })

  test('46: the sixty-first call of a window by one key is refused, whatever token it brings', async () => {
    // The buckets are in the memory of one process (control-api §9.1).
    const own = await stage.replica({
      CONTROL_RATE_CAPACITY: 60,
      // A slow machine must not see the bucket fill up again.
      CONTROL_RATE_WINDOW_SEC: 3600,
    })
    const scopes = ['control:app:read']
    const [first, second] = [await controlKey(scopes), await controlKey(scopes)]
    const call = async (by: typeof first) => {
      const options = { token: await token(scopes, by) }
      const body = { command: 'app', subcommand: 'list' }
      return own.send('POST', '/v1/control/invoke', body, options)
    }
    for (let n = 1; n <= 60; n += 1) expect((await call(first)).status).toBe(200)
    const refused = await call(first)
    expect([refused.status, refused.body.error.code]).toEqual([429, 'rate_limited'])
    expect(tellsWhenToComeAgain(refused)).toBe(true)
    expect((await call(second)).status).toBe(200)
  }, 60_000)

  seam('Redis is cut off from one process')(
    '46: with Redis away nothing is executed, limited by address or not',
    async () => {
      await using redis = await openRedisServer()
      await using proxy = await createCuttableProxy({ host: redis.host, port: redis.port })
      const url = `redis://127.0.0.1:${proxy.port}${redis.path}`
      for (const [limit, status] of [
        [0, 401],
        [60, 429],
      ] as const) {
        await using own = await createStage({
          settings: {
            CARACAL_CONTROL_ENABLED: true,
            CONTROL_GATE_FILE: gate,
            CONTROL_INVOKE_IP_RATE_LIMIT_PER_MIN: limit,
          },
          ephemera: ({ db, log, settings }) => createRedisEphemera({ url, db, log, settings }),
        })
        const ownZone = await own.zone()
        const ownKey = await controlKey(controlScopes, own, ownZone)
        const call = async (bearer: string, name: string) =>
          (
            await own.send(
              'POST',
              '/v1/control/invoke',
              { command: 'app', subcommand: 'create', flags: { name } },
              { token: bearer },
            )
          ).status
        const [first, second] = [
          await token(controlScopes, ownKey, own),
          await token(controlScopes, ownKey, own),
        ]
        expect(await call(first, 'before')).toBe(200)
        await proxy.cut()
        expect(await call(second, 'while')).toBe(status)
        await proxy.restore()
        await eventually(async () => (await call(await token(controlScopes, ownKey, own), 'after')) === 200, {
          timeoutMs: 20_000,
          intervalMs: 300,
        })
        const names = await own.database.admin<{ name: string }[]>`
        select name from applications where zone_id = ${ownZone} and name in ('before', 'while', 'after') order by name`
        expect(names.map((row) => row.name)).toEqual(['after', 'before'])
      }
    },
    60_000,
  )

  test('46: a token of a revoked or an archived key opens nothing more', async () => {
    const scopes = ['control:app:read']
    const revoke = (id: string) =>
      stage.send('POST', `/v1/zones/${zone}/subjects/revoke`, { subject_id: id, reason: 'stolen' })
    const archive = (id: string) => stage.send('DELETE', `/v1/zones/${zone}/applications/${id}`)
    for (const end of [revoke, archive]) {
      const own = await controlKey(scopes)
      const [first, second] = [await token(scopes, own), await token(scopes, own)]
      const list = { command: 'app', subcommand: 'list' }
      expect((await post(first, list)).status).toBe(200)
      expect((await end(own.id)).status).toBeLessThan(300)
      const requestId = `invoke-${uuidv7()}`
      const refused = await post(second, list, { 'x-request-id': requestId })
      expect([refused.status, refused.body.error.code]).toEqual([401, 'unauthorized'])
      expect(await eventsOf(requestId)).toMatchObject([
        { decision: 'deny', zone_id: zone, metadata_json: { subject: own.id, reason: 'auth: revoked' } },
      ])
    }
  })

  test('47: scopes, unknown commands, missing flags and conflicts', async () => {
    const read = ['control:app:read']
    const listed = await invoke({ command: 'app', subcommand: 'list' }, read)
    expect(listed.status).toBe(200)
    expect(Array.isArray(listed.result)).toBe(true)
    const create = await invoke({ command: 'app', subcommand: 'create', flags: { name: 'x' } }, read)
    expect([create.status, create.error]).toEqual([
      403,
      { code: 'denied', reason: 'missing scope control:app:write' },
    ])
    for (const unknown of [
      { command: 'zone' },
      { command: 'app', subcommand: 'nope' },
      { command: 'toString' },
    ]) {
      expect((await invoke(unknown)).status).toBe(403)
    }
    expect((await invoke({ command: 'app', subcommand: 'get' })).status).toBe(400)
    const operations = `${'['.repeat(6000)}${']'.repeat(6000)}`
    const deep = await invoke({ command: 'resource', subcommand: 'create', flags: { operations } })
    expect([deep.status, deep.error.code]).toEqual([400, 'invalid'])
    const missing = await invoke({ command: 'app', subcommand: 'get', flags: { id: 'nope' } })
    expect([missing.status, missing.error.code]).toEqual([404, 'not_found'])
    const made = await invoke({ command: 'app', subcommand: 'create', flags: { name: 'Twin' } })
    expect(made.result.client_secret).toMatch(/^cs_/)
    const twin = await invoke({ command: 'app', subcommand: 'create', flags: { name: 'Twin' } })
    expect([twin.status, twin.error.code]).toEqual([409, 'conflict'])
    expect(twin.error.reason).toMatch(/^application_name_taken: /)
    const gone = await invoke({ command: 'app', subcommand: 'delete', flags: { id: made.result.id } })
    expect(gone).toEqual({ status: 200, ok: true })
  })

  test('48: a document is applied once and then holds', async () => {
    const provider = await stage.send('POST', `/v1/zones/${zone}/providers`, { name: 'plain', kind: 'none' })
    const document = JSON.stringify({
      objects: [
        { kind: 'application', spec: { name: ' Declared ', traits: ['team:a'] } },
        {
          kind: 'identity-provider',
          spec: {
            identifier: 'provider://declared',
            name: ' Declared',
            kind: 'api_key',
            config: { api_key: 'sk', header_name: 'X-Key' },
          },
        },
        {
          kind: 'resource',
          spec: {
            identifier: ' resource://declared ',
            name: ' Declared ',
            scopes: ['d:read'],
            upstream_url: 'http://u.test',
            credential_provider_id: provider.body.id,
            operations: [{ method: 'get', path: ' /x ', scope: 'd:read' }],
          },
        },
        {
          kind: 'policy',
          spec: {
            name: 'declared',
            content: '# caracal:data-document\npackage caracal.authz\napp_ids := {"a": "b"}\n',
          },
        },
        { kind: 'policy-set', spec: { name: 'declared' } },
      ],
    })
    const state = (subcommand: string, flags: object = {}) =>
      invoke({ command: 'state', subcommand, flags: { document, ...flags } })
    const planned = await state('plan')
    expect(planned.result).toMatchObject({ ok: true, dryRun: true, drift: true, summary: { created: 5 } })
    const first = await state('apply')
    expect(first.result).toMatchObject({ ok: true, drift: true, summary: { created: 5, failed: 0 } })
    expect(JSON.stringify(first.result)).not.toContain('cs_')
    const second = await state('apply')
    expect(second.result).toMatchObject({ ok: true, drift: false, summary: { unchanged: 5 } })
    const declared = first.result.outcomes.find((outcome: { kind: string }) => outcome.kind === 'resource')
    await stage.send('PATCH', `/v1/zones/${zone}/resources/${declared.id}`, { upstream_url: 'http://v.test' })
    const verified = await state('verify')
    expect(verified.result).toMatchObject({ drift: true, dryRun: true, summary: { updated: 1 } })
    const read = await stage.send('GET', `/v1/zones/${zone}/resources/${declared.id}`)
    expect(read.body.upstream_url).toBe('http://v.test')
    const foreign = JSON.stringify({
      objects: [{ kind: 'application', spec: { name: 'x', zone_id: 'other' } }],
    })
    expect((await state('apply', { document: foreign })).error.code).toBe('zone_mismatch')
    const privileged = JSON.stringify({
      objects: [{ kind: 'application', spec: { name: 'x', traits: ['control:invoke'] } }],
    })
    expect((await state('apply', { document: privileged })).status).toBe(403)
    const withoutDelete = controlScopes.filter((scope) => !scope.endsWith(':delete'))
    const only = JSON.stringify({ objects: [{ kind: 'application', spec: { name: 'Declared' } }] })
    const refused = await invoke(
      { command: 'state', subcommand: 'apply', flags: { document: only, prune: true } },
      withoutDelete,
    )
    expect(refused.error.reason).toBe('missing scope control:app:delete')
    const pruned = await state('apply', { document: only, prune: true })
    expect(
      pruned.result.outcomes.some((outcome: { identity: string }) => outcome.identity.startsWith('key ')),
    ).toBe(false)
    expect((await stage.send('GET', `/v1/zones/${zone}/applications/${key.id}`)).status).toBe(200)
    const ensured = await invoke({
      command: 'ensure',
      subcommand: 'application',
      flags: { spec: JSON.stringify({ name: 'Declared', traits: ['team:b'] }) },
    })
    expect(ensured.result.outcomes[0]).toMatchObject({ action: 'update', drift: ['traits'], applied: true })
  })

  test('49: Control keys are out of its reach', async () => {
    const answer = await invoke({ command: 'app', subcommand: 'rotate-secret', flags: { id: key.id } })
    expect([answer.status, answer.error.code]).toEqual([403, 'denied'])
    expect(answer.error.remediation).toBe('use the admin API or the console')
    const resource = await invoke({
      command: 'resource',
      subcommand: 'create',
      flags: { identifier: 'caracal-control', scopes: 'control:app:read' },
    })
    expect(resource.status).toBe(409)
  })

  test("49: sessions and delegations are the coordinator's, under the SDK's names", async () => {
    const app = await stage.send('POST', `/v1/zones/${zone}/applications`, {
      name: `owner ${uuidv7()}`,
      registration_method: 'managed',
    })
    const sid = await seedAuthorityRecord(stage.database.db, zone, { subjectId: app.body.id })
    const id = await seedSession(stage.database.db, zone, { applicationId: app.body.id, recordId: sid })
    const got = await invoke({ command: 'session', subcommand: 'get', flags: { id } })
    expect(got.result).toMatchObject({ session_id: id, authority_record_id: sid, parent_session_id: null })
    expect((await invoke({ command: 'session', subcommand: 'suspend', flags: { id } })).ok).toBe(true)
    expect((await invoke({ command: 'session', subcommand: 'resume', flags: { id } })).ok).toBe(true)
    const ended = await invoke({ command: 'session', subcommand: 'terminate', flags: { id } })
    expect(ended).toEqual({ status: 200, ok: true })
    const listed = await stage.send('GET', `/v1/zones/${zone}/sessions?status=terminated`)
    expect(listed.body.items.map((row: { session_id: string }) => row.session_id)).toContain(id)
    const active = await invoke({ command: 'delegation', subcommand: 'active' })
    expect(active.result).toEqual({ items: [], next_cursor: null })
    for (const up of ['.', '..']) {
      const refused = await invoke({ command: 'session', subcommand: 'get', flags: { id: up } })
      expect([refused.status, refused.error.code]).toEqual([400, 'invalid'])
    }
    const missing = await invoke({ command: 'session', subcommand: 'get', flags: { id: uuidv7() } })
    expect([missing.status, missing.error.code]).toEqual([404, 'not_found'])
  })

  test('50: the catalog describes itself; size and zone are bounded', async () => {
    const described = await invoke({ command: 'catalog', subcommand: 'describe' }, ['control:app:read'])
    expect(described.result.commands).toHaveLength(16)
    const scopes = described.result.commands.flatMap((command: { subcommands: { scope: string | null }[] }) =>
      command.subcommands.map((subcommand) => subcommand.scope),
    )
    for (const scope of scopes) if (scope !== null) expect(controlScopes).toContain(scope)
    for (const { command, subcommands } of described.result.commands) {
      const open = ['state', 'ensure', 'catalog'].includes(command)
      for (const { scope } of subcommands) expect(scope === null, command).toBe(open)
    }
    const tooBig = { command: 'a'.repeat(257 * 1024) }
    for (const headers of [{}, { 'content-length': String(JSON.stringify(tooBig).length) }]) {
      const requestId = `invoke-${uuidv7()}`
      const bearer = await token(['control:app:read'])
      const big = await post(bearer, tooBig, { 'x-request-id': requestId, ...headers })
      expect([big.status, big.body.error.code]).toEqual([413, 'payload_too_large'])
      expect(await eventsOf(requestId)).toMatchObject([{ decision: 'deny', zone_id: zone }])
    }
    const other = await post(
      await token(['control:app:read']),
      { command: 'app', subcommand: 'list' },
      { 'x-caracal-zone-scope': 'other' },
    )
    expect([other.status, other.body.error.code]).toEqual([403, 'denied'])
    const bad = await stage.send('POST', '/v1/control/invoke', undefined, {
      token: await token(['control:app:read']),
      raw: '{bad',
    })
    expect([bad.status, bad.body.ok, bad.body.error.code]).toEqual([400, false, 'invalid'])
  })

  test('51: each call leaves one event, inner changes are in the ledger', async () => {
    const requestId = `invoke-${uuidv7()}`
    const answer = await post(
      await token(['control:app:write']),
      { command: 'app', subcommand: 'create', flags: { name: requestId, 'idempotency-key': 'k' } },
      { 'x-request-id': requestId },
    )
    expect(answer.status).toBe(200)
    const events = await eventsOf(requestId)
    expect(events).toHaveLength(1)
    expect(events[0]).toMatchObject({
      decision: 'allow',
      zone_id: zone,
      metadata_json: { subject: key.id, command: 'app', subcommand: 'create', idempotency_key: 'k' },
    })
    const ledger = await stage.send('GET', `/v1/zones/${zone}/admin-audit?entity_id=${answer.body.result.id}`)
    expect(ledger.body.items[0]).toMatchObject({ request_id: requestId, status_code: 201, signed: true })
  })
})
