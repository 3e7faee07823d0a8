import { generateKeyPairSync } from 'node:crypto'
import { SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { connectionLost } from '../../../src/platform/db/unavailable.ts'
import { uuidv7 } from '../../../src/platform/ids.ts'
import { createSigner } from '../../../src/platform/jose/compact.ts'
import { fetchJwks } from '../../../src/platform/jose/key-set.ts'
import { generateSigningKeyPem, openSigningKey } from '../../../src/platform/jose/zone-key.ts'
import { eventually } from '../../fixtures/eventually.ts'
import { seam } from '../../fixtures/seam.ts'
import { openScene, refusal, type Scene } from './scene.ts'

let z: Scene
beforeAll(async () => {
  z = await openScene()
})
afterAll(() => z[Symbol.asyncDispose]())

const now = () => Math.floor(Date.now() / 1000)

describe('authentication (coordinator §18 A)', () => {
  it('A1 without a bearer, with another scheme, with one too long: missing_token', async () => {
    for (const headers of [
      {},
      { authorization: 'Basic x' },
      { authorization: `Bearer ${'x'.repeat(8193)}` },
    ]) {
      const reply = await z.stage.call('GET', z.stage.at('/agents'), { headers })
      expect(reply).toMatchObject(refusal(401, 'missing_token'))
      expect(reply.headers.get('www-authenticate')).toMatch(/^Bearer realm="caracal-coordinator"/)
    }
  })

  it('A2 foreign signature, issuer, audience, time, algorithm, zone: invalid_token', async () => {
    const foreign = createSigner(uuidv7(), openSigningKey(generateSigningKeyPem()))
    const claims = JSON.parse(Buffer.from(z.ta.split('.')[1] ?? '', 'base64url').toString())
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const rs256 = await new SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid: 'k' }).sign(privateKey)
    const tokens = [
      foreign.sign(claims),
      rs256,
      'not.a.jwt',
      await z.stage.mandate({ iss: 'https://elsewhere' }),
      await z.stage.mandate({ aud: ['https://elsewhere'] }),
      await z.stage.mandate({ exp: now() - 61 }),
      await z.stage.mandate({ nbf: now() + 120 }),
      await z.stage.mandate({ zone_id: '../x' }),
      await z.stage.mandate({ sub: '' }),
      await z.stage.mandate({ client_id: undefined }),
    ]
    for (const bearer of tokens) {
      const reply = await z.call('GET', '/agents', { bearer })
      expect(reply).toMatchObject(refusal(401, 'invalid_token'))
      expect(reply.headers.get('www-authenticate')).toBe(
        'Bearer realm="caracal-coordinator", error="invalid_token"',
      )
    }
  })

  it('A3 a mandate is good for a minute after its end', async () => {
    const bearer = await z.stage.mandate({ exp: now() - 30 })
    expect((await z.call('GET', '/agents', { bearer })).status).toBe(200)
  })

  it.each(['gateway', 'resource', undefined])('A4 use=%s is no session mandate', async (use) => {
    const bearer = await z.stage.mandate({ use })
    expect(await z.call('GET', '/agents', { bearer })).toMatchObject(refusal(401, 'invalid_token'))
  })

  it('A5 without the lifecycle scope: missing_scope', async () => {
    const bearer = await z.stage.mandate({ scope: 'other' })
    expect(await z.call('GET', '/agents', { bearer })).toMatchObject(refusal(403, 'missing_scope'))
  })

  it('A6 another zone: zone_mismatch', async () => {
    const reply = await z.stage.call('GET', '/zones/OTHER/agents', { bearer: z.ta })
    expect(reply).toMatchObject(refusal(403, 'zone_mismatch'))
  })

  it('A7 a dead record or an archived application: identity_revoked', async () => {
    const { id } = await z.stage.application()
    const bearer = await z.stage.mandateOf(id)
    const other = await z.stage.mandateOf(id)
    await z.stage.store.db.sql`
      update authority_records set status = 'revoked', revoked_at = now()
      where id = ${JSON.parse(Buffer.from(bearer.split('.')[1] ?? '', 'base64url').toString()).sid}`
    expect(await z.call('GET', '/agents', { bearer })).toMatchObject(refusal(401, 'identity_revoked'))
    expect((await z.call('GET', '/agents', { bearer: other })).status).toBe(200)
    await z.stage.store.db.sql`update applications set archived_at = now() where id = ${id}`
    expect(await z.call('GET', '/agents', { bearer: other })).toMatchObject(refusal(401, 'identity_revoked'))
  })

  it('A8 the operator token counts on its own routes only', async () => {
    const bearer = z.op
    const session = await z.start()
    expect((await z.call('GET', '/agents', { bearer })).status).toBe(200)
    expect((await z.call('PATCH', `/agents/${session}/suspend`, { bearer })).body).toMatchObject({
      suspended: 1,
    })
    expect((await z.call('POST', `/agents/${session}/resume`, { bearer })).body).toMatchObject({ resumed: 1 })
    expect((await z.call('GET', '/invocations', { bearer })).status).toBe(200)
    for (const [method, path] of [
      ['POST', '/agents'],
      ['GET', '/invocations/x'],
      ['POST', '/delegations'],
      ['POST', '/agent-services'],
    ] as const) {
      expect(await z.call(method, path, { bearer, json: {} })).toMatchObject(refusal(401, 'invalid_token'))
    }
  })

  it('A9 /stats and /metrics are the operator’s', async () => {
    await using guarded = await openScene({ METRICS_BEARER: 'scrape' })
    const ask = (path: string, bearer: string) => guarded.stage.call('GET', path, { bearer })
    expect(await ask('/stats', guarded.ta)).toMatchObject(refusal(403, 'operator_token_required'))
    expect(await ask('/metrics', guarded.ta)).toMatchObject(refusal(401, 'unauthorized'))
    expect((await guarded.stage.call('GET', '/stats')).body.error).toBe('missing_token')
  })

  seam('signs for zones that have no keys')(
    'A10 mandates of three hundred zones verify over a bounded cache',
    async () => {
      const { stage } = z
      const claims = JSON.parse(Buffer.from(z.ta.split('.')[1] ?? '', 'base64url').toString())
      const tokens = Array.from({ length: 300 }, () => {
        const zoneId = uuidv7()
        return [zoneId, stage.sign({ ...claims, zone_id: zoneId })] as const
      })
      for (const [zoneId, bearer] of [...tokens, ...tokens]) {
        // Verified, and refused only because the application is not in that zone.
        const reply = await stage.call('GET', `/zones/${zoneId}/agents`, { bearer })
        expect(reply.body.error).toBe('identity_revoked')
      }
    },
  )

  it('A11 a malformed path id: invalid_params', async () => {
    expect(await z.call('GET', '/agents/bad%20id')).toMatchObject(refusal(400, 'invalid_params'))
    const zone = await z.stage.call('GET', '/zones/bad%20zone/agents', { bearer: z.ta })
    expect(zone).toMatchObject(refusal(400, 'invalid_params'))
    const operators = await z.stage.call('GET', '/zones/bad%20zone/agents', { bearer: z.op })
    expect(operators).toMatchObject(refusal(400, 'invalid_params'))
  })

  it('keys the store withholds are a failure of ours; an STS out of reach proves no mandate', async () => {
    const { zoneId } = z.stage.zone
    const ask = async (zoneKeys: () => ReturnType<typeof fetchJwks>) => {
      const peer = await z.stage.peer({ zoneKeys })
      const listed = await peer.call('GET', z.stage.at('/agents'), { bearer: z.ta })
      const verified = await peer.call('POST', '/v1/verify', { json: { token: z.ta, zone_id: zoneId } })
      return [listed, verified].map(({ status, body }) => [status, body.error])
    }
    expect(await ask(() => Promise.reject(connectionLost('ECONNREFUSED')))).toEqual([
      [503, 'service_unavailable'],
      [503, 'service_unavailable'],
    ])
    expect(await ask(() => fetchJwks('http://127.0.0.1:1', zoneId, 1000))).toEqual([
      [401, 'invalid_token'],
      [401, 'token_invalid'],
    ])
  })

  it('an unknown route is told apart only after authentication', async () => {
    for (const path of ['/nothing', z.stage.at('/nothing')]) {
      expect(await z.stage.call('GET', path)).toMatchObject(refusal(401, 'missing_token'))
      const known = await z.stage.call('GET', path, { bearer: z.ta })
      expect(known).toMatchObject(refusal(404, 'not_found'))
      expect(known.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/)
    }
  })

  it('who is proven and not let in leaves a record', async () => {
    const { id } = await z.stage.application()
    const gone = await z.stage.mandateOf(id)
    await z.stage.store.db.sql`update applications set archived_at = now() where id = ${id}`
    const narrow = await z.stage.mandate({ scope: 'other' })
    const asked = [
      ['no-scope', narrow, z.stage.at('/agents'), 403, z.a, 'other'],
      ['other-zone', z.ta, '/zones/OTHER/agents', 403, z.a, 'agent:lifecycle'],
      ['revoked', gone, z.stage.at('/agents'), 401, id, 'agent:lifecycle'],
    ] as const
    for (const [requestId, bearer, path] of asked) {
      await z.stage.call('GET', path, { bearer, headers: { 'x-request-id': requestId } })
    }
    const rows = await eventually(async () => {
      const found = await z.stage.store.db.sql`
        select request_id, status_code, actor_id, actor_scope from admin_audit_events
        where request_id in ('no-scope', 'other-zone', 'revoked') order by request_id`
      return found.length === 3 ? found : null
    })
    expect(rows).toEqual(
      asked.map(([request_id, , , status_code, actor_id, actor_scope]) => ({
        request_id,
        status_code,
        actor_id,
        actor_scope,
      })),
    )
  })

  it('a refusal is recorded for a known caller and never for an unknown one', async () => {
    const requestId = 'record-me'
    await z.call('GET', '/agents/none', { headers: { 'x-request-id': requestId } })
    await z.stage.call('GET', z.stage.at('/agents'), { headers: { 'x-request-id': 'nobody' } })
    const row = await eventually(async () => {
      const [found] = await z.stage.store.db.sql`
        select actor_id, action, status_code from admin_audit_events where request_id = ${requestId}`
      return found ?? null
    })
    expect(row).toMatchObject({
      actor_id: z.a,
      status_code: 404,
      action: `GET ${z.stage.at('/agents/none')}`,
    })
    const none = await z.stage.store.db.sql`select 1 from admin_audit_events where request_id = 'nobody'`
    expect(none).toHaveLength(0)
  })
})
