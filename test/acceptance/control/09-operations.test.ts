/** Keys, health and metrics of a whole server, by the numbers of storage-and-operations §21. */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { leftOfMinute } from '../../fixtures/minute.ts'
import { type Stage as ControlStage, createStage, tellsWhenToComeAgain } from '../../roles/control/stage.ts'
import { openStage, type Stage } from '../clients/stage.ts'

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

describe('a whole server (storage-and-operations §21)', () => {
  const stsToken = 'sts-operator-token-0123456789abcdef'
  let stage: Stage
  let zone: string
  beforeAll(async () => {
    stage = await openStage({ STS_ADMIN_TOKEN: stsToken, METRICS_BEARER: 'scrape' })
    zone = String((await stage.admin('POST', '/zones', { name: 'Operations' })).id)
  })
  afterAll(() => stage[Symbol.asyncDispose]())

  const jwks = async (query = '') => {
    const answer = await fetch(`${stage.urls.sts}/.well-known/jwks.json${query}`)
    return { status: answer.status, ...((await answer.json()) as { keys?: { kid: string }[] }) }
  }
  const rotate = (headers: Record<string, string>) =>
    fetch(`${stage.urls.sts}/internal/zones/${zone}/signing-key/rotate?immediate=true`, {
      method: 'POST',
      headers,
    })

  test('21, 22: a new zone has its key; the union, an unknown zone; both keys after a rotation', async () => {
    const before = await jwks(`?zone_id=${zone}`)
    expect([before.status, before.keys?.length]).toEqual([200, 1])
    const other = String((await stage.admin('POST', '/zones', { name: 'Another' })).id)
    const union = await jwks()
    expect(union.status).toBe(200)
    for (const one of [zone, other]) {
      const own = await jwks(`?zone_id=${one}`)
      expect(union.keys?.map((key) => key.kid)).toContain(own.keys?.[0]?.kid)
    }
    expect((await jwks('?zone_id=nowhere')).status).toBe(404)
    for (const headers of [{}, bearer('wrong'), bearer(stage.adminToken)]) {
      expect((await rotate(headers)).status).toBe(401)
    }
    const rotated = (await (await rotate(bearer(stsToken))).json()) as { kid: string }
    const after = await jwks(`?zone_id=${zone}`)
    expect(after.keys?.map((key) => key.kid)).toEqual([rotated.kid, before.keys?.[0]?.kid])
  })

  test('23: every role tells that it lives and is ready, in the documented bodies', async () => {
    const documented = {
      control: ['{"ok":true}', { ok: true }],
      coordinator: ['{"ok":true}', { ok: true }],
      sts: ['', { ok: true, ready: true }],
      gateway: ['', { ok: true, ready: true }],
    } as const
    for (const [role, [alive, ready]] of Object.entries(documented)) {
      const url = stage.urls[role as keyof typeof documented]
      const health = await fetch(`${url}/health`)
      expect([role, health.status, await health.text()]).toEqual([role, 200, alive])
      const readiness = await fetch(`${url}/ready`)
      expect([role, readiness.status, await readiness.json()]).toEqual([role, 200, ready])
    }
    for (const path of ['health', 'ready']) {
      expect((await fetch(`${stage.urls.audit}/${path}`)).status).toBe(200)
    }
  })

  test('27: metrics of all five roles for the scraper alone; the coordinator also knows its operator', async () => {
    for (const [role, url] of Object.entries(stage.urls)) {
      const status = async (headers: Record<string, string>) =>
        (await fetch(`${url}/metrics`, { headers })).status
      expect([role, await status({}), await status(bearer('wrong')), await status(bearer('scrape'))]).toEqual(
        [role, 401, 401, 200],
      )
    }
    const operator = bearer(stage.coordinatorToken)
    expect((await fetch(`${stage.urls.coordinator}/metrics`, { headers: operator })).status).toBe(200)
    expect((await fetch(`${stage.urls.control}/metrics`, { headers: operator })).status).toBe(401)
  })
})

describe('control alone (storage-and-operations §21)', () => {
  let stage: ControlStage
  beforeAll(async () => {
    stage = await createStage({ settings: { METRICS_BEARER: null, READY_RATE_LIMIT_PER_MIN: 120 } })
  })
  afterAll(() => stage[Symbol.asyncDispose]())

  const get = async (path: string, send = stage.send) => {
    const { status, body } = await send('GET', path, undefined, { token: null })
    return [status, body]
  }

  test('27: in dev without a bearer the metrics are open, in stable they are not', async () => {
    expect((await get('/metrics'))[0]).toBe(200)
    const { send } = await stage.replica({
      CARACAL_MODE: 'stable',
      METRICS_BEARER: null,
      // The login of a test database may do everything.
      CARACAL_DB_ALLOW_BYPASSRLS: true,
    })
    expect((await get('/metrics', send))[0]).toBe(401)
  })

  test('28: the hundred and twenty-first question of a minute is not answered', async () => {
    await stage.forgetCounters()
    const ready = () => stage.send('GET', '/ready', undefined, { token: null })
    await leftOfMinute()
    for (let n = 0; n < 120; n += 1) expect((await ready()).status).toBe(200)
    const refused = await ready()
    expect(refused.status).toBe(429)
    expect(tellsWhenToComeAgain(refused)).toBe(true)
    expect(await get('/health')).toEqual([200, { ok: true }])
  })

  test('29: a dead message makes control unready with its count, until it is gone', async () => {
    await stage.forgetCounters()
    await stage.database.admin`
      insert into caracal_outbox (id, producer, topic, dedupe_key, payload_json, status, attempts)
      select gen_random_uuid()::text, 'control', 'caracal.policy.invalidate', n::text, '{}', 'dead', 10
      from generate_series(1, ${stage.settings.API_READY_OUTBOX_DEAD_MAX + 2}) n`
    const limit = stage.settings.API_READY_OUTBOX_DEAD_MAX
    expect(await get('/ready')).toEqual([
      503,
      { ok: false, error: 'outbox_dead_messages', deadCount: limit + 2, limit },
    ])
    expect(await get('/health')).toEqual([200, { ok: true }])
    await stage.database.admin`delete from caracal_outbox where status = 'dead'`
    expect(await get('/ready')).toEqual([200, { ok: true }])
  })
})
