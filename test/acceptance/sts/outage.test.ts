/** Fail closed (sts §13.4, check 58): what cannot be known denies, in one clear way, and evidence is never lost silently. */
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { eventually } from '../../fixtures/eventually.ts'
import { seams } from '../../fixtures/seam.ts'
import {
  createWorld,
  delegatedFields,
  gatewayExchange,
  mintGatewayMandate,
  type TokenAnswer,
  token,
  type World,
} from '../../roles/sts/world.ts'

// Every test opens a world of its own, the first one the test store as well.
vi.setConfig({ testTimeout: 60_000 })

const outcome = (answer: TokenAnswer) => [answer.status, answer.body?.error]
const away = [503, 'sts_unavailable']
const separate = () => createWorld({}, undefined, { separateStores: true })

async function ready(world: World) {
  const response = await world.sts.app.request('/ready')
  return [response.status, await response.json()]
}

seams('a store is taken away from the one process that uses it')('sts §18 outages', () => {
  test('58: counters and registers away', async () => {
    await using world = await separate()
    const { mandate, delegation } = await mintGatewayMandate(world)
    await world.ephemeraDb[Symbol.asyncDispose]()
    for (const answer of [
      await token(world, { scope: 'agent:lifecycle' }),
      await token(world, delegatedFields(delegation)),
      await gatewayExchange(world, mandate),
    ]) {
      expect(outcome(answer)).toEqual(away)
    }
  })

  test('58: the store away', async () => {
    await using world = await separate()
    const { mandate, delegation } = await mintGatewayMandate(world)
    expect(await ready(world)).toEqual([200, { ok: true, ready: true }])
    await world.db[Symbol.asyncDispose]()
    for (const answer of [
      await token(world, { scope: 'agent:lifecycle' }),
      await token(world, delegatedFields(delegation)),
      await gatewayExchange(world, mandate),
    ]) {
      expect(outcome(answer)).toEqual(away)
    }
    expect(await ready(world)).toEqual([503, { ok: false, ready: false, reason: 'postgres_unreachable' }])
    const jwks = await world.sts.app.request(`/.well-known/jwks.json?zone_id=${world.zone.zoneId}`)
    expect(jwks.status).toBe(503)
    expect((await world.sts.app.request('/health')).status).toBe(200)
  })

  test('58: the bus away: evidence waits in the journal and arrives later', async () => {
    await using world = await separate()
    await world.busDb[Symbol.asyncDispose]()
    expect((await token(world, { scope: 'agent:lifecycle' }, { 'x-request-id': 'journaled' })).status).toBe(
      200,
    )
    const metrics = await (await world.sts.app.request('/metrics')).text()
    expect(metrics).toMatch(/caracal_sts_audit_replay_files [1-9]/)
  })

  test('neither bus nor journal: no allow leaves, and readiness says why', async () => {
    await using world = await separate()
    await world.busDb[Symbol.asyncDispose]()
    const directory = join(world.journalDirectory, '0')
    await rm(directory, { recursive: true, force: true })
    await writeFile(directory, 'a file where the journal should be')
    expect(outcome(await token(world, { scope: 'agent:lifecycle' }))).toEqual(away)
    await eventually(async () => {
      expect(await ready(world)).toEqual([503, { ok: false, ready: false, reason: 'audit_evidence_lost' }])
      return true
    })
  })

  test('draining', async () => {
    await using world = await createWorld()
    world.sts.drain()
    expect(await ready(world)).toEqual([503, { ok: false, draining: true }])
  })

  test('metrics ask for their bearer', async () => {
    await using world = await createWorld({ METRICS_BEARER: 'scrape' })
    const ask = (path: string, bearer?: string) =>
      world.sts.app.request(path, { headers: bearer ? { authorization: `Bearer ${bearer}` } : {} })
    for (const path of ['/metrics', '/metrics.json']) {
      const refused = await ask(path)
      expect([refused.status, ((await refused.json()) as { error: string }).error]).toEqual([
        401,
        'access_denied',
      ])
      expect((await ask(path, 'wrong')).status).toBe(401)
      expect((await ask(path, 'scrape')).status).toBe(200)
    }
    await token(world, { scope: 'agent:lifecycle' })
    expect(await (await ask('/metrics.json', 'scrape')).json()).toMatchObject({
      sts: { secret_backend_reads: 0 },
      opa: {
        eval_total: 1,
        compile_total: 1,
        poll_interval_seconds: 60,
        decision_contract_version: '2026-07-12',
      },
      audit_dropped: 0,
    })
    expect(await (await ask('/metrics', 'scrape')).text()).toMatch(/^caracal_sts_opa_eval_total 1$/m)
  })
})
