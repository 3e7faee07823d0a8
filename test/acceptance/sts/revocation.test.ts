import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { signEntry } from '../../../src/platform/bus/signature.ts'
import { keyRing } from '../../../src/platform/crypto/key-ring.ts'
import { eventually } from '../../fixtures/eventually.ts'
import { jobContext } from '../../fixtures/job-context.ts'
import { inOneProcess } from '../../fixtures/topology.ts'
import { seedAuthorityRecord } from '../../fixtures/zone.ts'
import {
  claimsOf,
  createWorld,
  gatewayExchange,
  mintGatewayMandate,
  postForm,
  type TokenAnswer,
  token,
  tokenFields,
  type World,
} from '../../roles/sts/world.ts'

let world: World
beforeAll(async () => {
  world = await createWorld()
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
})

const stream = 'caracal.sessions.revoke'
const outcome = (answer: TokenAnswer) => [answer.status, answer.body?.error]

async function publish(fields: Record<string, string>, signed = true): Promise<void> {
  const entry = signed ? signEntry(keyRing(world.settings).streams, stream, fields) : fields
  await world.bus.publish([{ stream, fields: entry }])
}

const statusOf = async (id: string) => {
  const [row] = await world.db.sql<{ status: string; revoked_reason: string | null }[]>`
    select status, revoked_reason from authority_records where id = ${id}`
  return row
}

describe('sts §18 revocation', () => {
  test('57: a record and everything minted under it', async () => {
    const { mandate } = await mintGatewayMandate(world)
    const resource = (await gatewayExchange(world, mandate)).body.access_token
    const [parent, child] = [claimsOf(mandate).sid as string, claimsOf(resource).sid as string]
    await publish({ zone_id: world.zone.zoneId, session_id: parent, reason: 'grant_revoked' })
    await eventually(async () => (await statusOf(child))?.status === 'revoked')
    expect(await statusOf(parent)).toEqual({ status: 'revoked', revoked_reason: 'grant_revoked' })
    expect(outcome(await gatewayExchange(world, mandate))).toEqual([403, 'access_denied'])

    await publish({ zone_id: world.zone.zoneId, session_id: parent, reason: 'again' })
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect((await statusOf(parent))?.revoked_reason).toBe('grant_revoked')
  })

  test('57: unsigned messages change nothing, delegation messages are taken', async () => {
    const record = await seedAuthorityRecord(world.db, world.zone.zoneId, { subjectId: 'x' })
    await publish({ zone_id: world.zone.zoneId, session_id: record }, false)
    await publish({ zone_id: world.zone.zoneId, delegation_edge_id: 'e', reason: 'delegation_revoked' })
    await publish({ zone_id: world.zone.zoneId, agent_session_id: 's', reason: 'ttl' })
    await eventually(async () => {
      const stats = await world.bus.group(stream, 'sts-revocation').stats()
      return stats.pending === 0 && stats.undelivered === 0
    })
    expect((await statusOf(record))?.status).toBe('active')
    expect(await world.bus.length(`${stream}.dead`)).toBe(0)
  })

  test('a client that knows the metadata and its credentials mints, asks and revokes', async () => {
    const metadata = await world.sts.app.request('/.well-known/oauth-authorization-server')
    const served = (await metadata.json()) as Record<string, string | string[]>
    expect(served.token_endpoint_auth_methods_supported).toEqual(['client_secret_post'])
    const at = (endpoint: string) => new URL(String(served[`${endpoint}_endpoint`])).pathname
    const { id: client_id, secret: client_secret } = world.zone.application
    const minted = await postForm(
      world.sts,
      at('token'),
      tokenFields(world, { application_id: undefined, client_id, scope: 'agent:lifecycle' }),
    )
    expect(minted.status).toBe(200)
    const presented = { client_id, client_secret, token: minted.body.access_token }
    expect((await postForm(world.sts, at('introspection'), presented)).body).toMatchObject({ active: true })
    expect((await postForm(world.sts, at('revocation'), presented)).status).toBe(200)
    expect((await postForm(world.sts, at('introspection'), presented)).body).toEqual({ active: false })
    const unknown = { ...presented, client_id: crypto.randomUUID() }
    expect(outcome(await postForm(world.sts, at('introspection'), unknown))).toEqual([401, 'access_denied'])
    const wrong = { ...presented, client_secret: 'wrong' }
    expect(outcome(await postForm(world.sts, at('introspection'), wrong))).toEqual([401, 'access_denied'])
  })

  test('an application ends its own mandate, and only its own', async () => {
    const { mandate } = await mintGatewayMandate(world)
    const { id: application_id, secret: client_secret } = world.zone.application
    const caller = { zone_id: world.zone.zoneId, application_id, client_secret }
    const introspect = () => postForm(world.sts, '/oauth/2/introspect', { ...caller, token: mandate })
    expect((await introspect()).body).toMatchObject({
      active: true,
      token_type: 'Bearer',
      sub: application_id,
      scope: 'nucleus:pay',
    })
    const wrong = { ...caller, client_secret: 'wrong', token: mandate }
    expect(outcome(await postForm(world.sts, '/oauth/2/revoke', wrong))).toEqual([401, 'access_denied'])
    expect((await postForm(world.sts, '/oauth/2/revoke', { ...caller, token: mandate })).status).toBe(200)
    expect((await introspect()).body).toEqual({ active: false })
    expect(outcome(await gatewayExchange(world, mandate))).toEqual([403, 'access_denied'])
    const told = await world.db.sql<{ payload_json: Record<string, string> }[]>`
      select payload_json from caracal_outbox where topic = ${stream}`
    expect(told.map((row) => row.payload_json)).toContainEqual({
      zone_id: world.zone.zoneId,
      session_id: claimsOf(mandate).sid,
      reason: 'client_revoked',
    })
    expect((await postForm(world.sts, '/oauth/2/revoke', { ...caller, token: 'nonsense' })).status).toBe(200)
    expect((await postForm(world.sts, '/oauth/2/introspect', { ...caller, token: 'x' })).body).toEqual({
      active: false,
    })
  })
})

describe('sts §18 mint limit', () => {
  // A setting that no other test file has: the row below lowers the limit of a whole deployment.
  let limited: World
  beforeAll(async () => {
    limited = await createWorld({ STS_MINT_RATE_LIMIT_PER_MIN: 999 })
  })
  afterAll(() => limited[Symbol.asyncDispose]())

  /** Every replica reads it once a minute by itself. */
  const patience = { timeoutMs: inOneProcess ? 5000 : 150_000, intervalMs: inOneProcess ? 20 : 1000 }
  async function limitIsRead(): Promise<void> {
    if (!inOneProcess) return
    const refresh = limited.sts.jobs.find((job) => job.name === 'mint_limit_refresh')
    await refresh?.run(jobContext())
  }

  test('59: an operator lowers it, mandates already minted still trade', async () => {
    const { mandate } = await mintGatewayMandate(limited)
    await limited.db.sql`
      insert into sts_rate_limit (singleton, limit_per_minute, updated_at) values (true, 1, now())`
    await limitIsRead()
    const answer = await eventually(async () => {
      const one = await token(limited, { scope: 'agent:lifecycle' })
      return one.status === 429 ? one : null
    }, patience)
    expect(outcome(answer)).toEqual([429, 'provider_rate_limited'])
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
    expect((await gatewayExchange(limited, mandate)).status).toBe(200)
    await limited.db.sql`update sts_rate_limit set limit_per_minute = 1000000`
    await limitIsRead()
    await eventually(
      async () => (await token(limited, { scope: 'agent:lifecycle' })).status === 200,
      patience,
    )
  }, 200_000)
})
