import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { getRequestListener } from '@hono/node-server'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { keyDigest, lockHex, requestDigest } from '../../../src/roles/coordinator/idempotency.ts'
import { seam } from '../../fixtures/seam.ts'
import { testKeys } from '../../fixtures/settings.ts'
import { openScene, refusal, type Scene } from './scene.ts'

let z: Scene
beforeAll(async () => {
  z = await openScene()
})
afterAll(() => z[Symbol.asyncDispose]())

const begin = (key: string, body: Record<string, unknown> = {}, headers: Record<string, string> = {}) =>
  z.call('POST', '/agents', {
    json: { application_id: z.a, ttl_seconds: 60, ...body },
    headers: { 'idempotency-key': key, ...headers },
  })
const sessions = async () => {
  const [row] = await z.stage.store.db.sql`select count(*)::int as n from agent_sessions`
  return Number(row?.n)
}

describe('idempotency (coordinator §18 I)', () => {
  it('the vectors of §5.2', () => {
    const hmac = Buffer.from('0123456789abcdef'.repeat(4), 'hex')
    expect(keyDigest(hmac, 'delivery-42').toString('hex')).toBe(
      '5e2f39ffbd13d62d9452980d8a1489e28e6bbce8d4135196cd61188707935eaa',
    )
    expect(lockHex('delivery-42')).toBe('f25c7927a8f691df434f5efe6e2cb274521127e70692f8f6b792610c40dcd8c6')
    const fingerprint = {
      principal: { client_id: 'app-1', subject: 'app-1' },
      application_id: 'app-1',
      subject_authority_record_id: 'sid-1',
      parent_id: null,
      lifecycle: 'task',
      labels: ['a'],
      ttl_seconds: 3600,
      parent_authority: 'inherit',
      inherit_parent_edge_id: null,
      metadata: {},
    }
    expect(requestDigest(fingerprint).toString('hex')).toBe(
      '15638b8078a4a841c8d49304bf9670ad930b6eed218bf4a9665189b6484e48a8',
    )
  })

  it('I1 the same request twice is one session, replayed as it was answered', async () => {
    const before = await sessions()
    const first = await begin('i1')
    const second = await begin('i1')
    expect(second).toMatchObject({ status: 201, body: first.body })
    expect(first.headers.get('idempotency-replayed')).toBeNull()
    expect(second.headers.get('idempotency-replayed')).toBe('true')
    expect(await sessions()).toBe(before + 1)
  })

  it('I2 twenty at once are one session', async () => {
    const replies = await Promise.all(Array.from({ length: 20 }, () => begin('i2')))
    expect(new Set(replies.map((reply) => reply.body.id)).size).toBe(1)
    expect(new Set(replies.map((reply) => reply.status))).toEqual(new Set([201]))
  })

  it('I3 another request under the key: idempotency_key_conflict', async () => {
    await begin('i3')
    const reply = await begin('i3', { ttl_seconds: 61 })
    expect(reply).toMatchObject(refusal(409, 'idempotency_key_conflict'))
    expect(reply.body.message).toEqual(expect.any(String))
  })

  it('I4 what it made is over: idempotency_result_inactive', async () => {
    const { body } = await begin('i4')
    await z.call('DELETE', `/agents/${body.id}`)
    expect(await begin('i4')).toMatchObject(refusal(409, 'idempotency_result_inactive'))
    const [s1, s2] = [await z.start(), await z.start()]
    const headers = { 'idempotency-key': 'i4-edge' }
    const edge = await z.tryDelegate(s1, s2, {}, { headers })
    expect((await z.tryDelegate(s1, s2, {}, { headers })).headers.get('idempotency-replayed')).toBe('true')
    await z.call('DELETE', `/delegations/${edge.body.id}`)
    expect(await z.tryDelegate(s1, s2, {}, { headers })).toMatchObject(
      refusal(409, 'idempotency_result_inactive'),
    )
  })

  it('I5 malformed keys: idempotency_key_invalid', async () => {
    for (const key of ['', 'é'.repeat(128)]) {
      expect(await begin(key)).toMatchObject(refusal(400, 'idempotency_key_invalid'))
    }
    const service = await z.service()
    for (const key of ['', ' k', 'a\tb', 'x'.repeat(256)]) {
      const reply = await z.enqueue(service, { idempotency_key: key })
      expect(reply).toMatchObject(refusal(400, 'idempotency_key_invalid'))
      expect(reply.body).toMatchObject({ message: expect.any(String), request_id: expect.any(String) })
    }
  })

  it('I5 a key in a header is UTF-8: its bytes are counted once, and it is the key of the body', async () => {
    /** As it comes from the wire: a character for each byte. */
    const onWire = (key: string) => Buffer.from(key).toString('latin1')
    const key = 'é'.repeat(100)
    expect((await begin(onWire(key))).status).toBe(201)
    expect(await begin(onWire('é'.repeat(128)))).toMatchObject(refusal(400, 'idempotency_key_invalid'))
    const service = await z.service()
    const first = await z.enqueue(service, { idempotency_key: key })
    for (const sent of [onWire(key), key]) {
      const again = await z.enqueue(
        service,
        { idempotency_key: undefined },
        { headers: { 'idempotency-key': sent } },
      )
      expect(again.body.id).toBe(first.body.id)
    }
  })

  it('I5 two keys on one request: idempotency_key_multiple', async () => {
    const server = createServer(getRequestListener(z.stage.role.app.fetch))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    try {
      const { port } = server.address() as AddressInfo
      // Straight to who answers: a client of ours would make one header of the two.
      const socket = connect(z.stage.url === null ? port : Number(new URL(z.stage.url).port), '127.0.0.1')
      const body = JSON.stringify({ application_id: z.a })
      socket.write(
        [
          `POST ${z.stage.at('/agents')} HTTP/1.1`,
          'host: x',
          'connection: close',
          `authorization: Bearer ${z.ta}`,
          'content-type: application/json',
          `content-length: ${body.length}`,
          'idempotency-key: one',
          'Idempotency-Key: two',
          '',
          body,
        ].join('\r\n'),
      )
      const answer = await text(socket)
      expect(answer).toMatch(/^HTTP\/1\.1 400 /)
      expect(answer).toContain('"error":"idempotency_key_multiple"')
    } finally {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    }
  })

  it('I6 a refused request leaves its key free', async () => {
    expect(await begin('i6', { parent_id: 'none' })).toMatchObject(refusal(404, 'parent_not_found'))
    expect((await begin('i6')).status).toBe(201)
  })

  it('I7 receipts hold no key, and generated keys are kept for a day', async () => {
    await begin('plaintext-key')
    await begin('sdk-made-key', {}, { 'idempotency-key-kind': 'generated' })
    const rows = await z.stage.store.db.sql<{ text: string; days: number }[]>`
      select receipt::text as text, round(extract(epoch from expires_at - created_at) / 86400)::int as days
      from coordinator_idempotency_receipts as receipt
      order by created_at desc
      limit 2`
    expect(rows.map((row) => row.days)).toEqual([1, 7])
    for (const { text: row } of rows) expect(row).not.toMatch(/plaintext-key|sdk-made-key/)
  })

  it('I8 a receipt made under the previous HMAC key is found', async () => {
    const first = await begin('i8')
    const rotated = await z.stage.peer({
      settings: {
        ...z.stage.settings,
        IDEMPOTENCY_HMAC_KEY: 'ab'.repeat(32),
        IDEMPOTENCY_HMAC_KEY_PREVIOUS: testKeys.IDEMPOTENCY_HMAC_KEY,
      },
    })
    const again = await rotated.call('POST', z.stage.at('/agents'), {
      bearer: z.ta,
      json: { application_id: z.a, ttl_seconds: 60 },
      headers: { 'idempotency-key': 'i8' },
    })
    expect(again.body.id).toBe(first.body.id)
  })

  it('I9 a fresh mandate of the same application replays', async () => {
    const first = await begin('i9')
    const again = await z.call('POST', '/agents', {
      bearer: await z.stage.mandate(),
      json: { application_id: z.a, ttl_seconds: 60 },
      headers: { 'idempotency-key': 'i9' },
    })
    expect(again.body).toEqual(first.body)
  })

  seam('a limit below what a server accepts')(
    'a scope full of receipts: idempotency_receipt_limit_exceeded; an expired one makes room',
    async () => {
      await using small = await openScene({ IDEMPOTENCY_MAX_RECEIPTS_PER_SCOPE: 1 })
      const one = (key: string) =>
        small.call('POST', '/agents', {
          json: { application_id: small.a },
          headers: { 'idempotency-key': key },
        })
      const first = await one('a')
      expect(await one('b')).toMatchObject(refusal(429, 'idempotency_receipt_limit_exceeded'))
      await small.stage.store.db.sql`
      update coordinator_idempotency_receipts
      set created_at = now() - interval '2 days', expires_at = now() - interval '1 day'`
      const again = await one('a')
      expect(again.status).toBe(201)
      expect(again.body.id).not.toBe(first.body.id)
    },
  )

  it('an answer too large to keep is refused, and nothing of it remains', async () => {
    const [s1, s2] = [await z.start(), await z.start()]
    const bearer = await z.stage.mandate({ scope: 'agent:lifecycle coordinator.delegate_broad' })
    const scopes = Array.from({ length: 300 }, (_, at) => `${at}:${'s'.repeat(200)}`)
    const body = { resource_id: null, scopes }
    const kept = await z.tryDelegate(s1, s2, body, { bearer, headers: { 'idempotency-key': 'huge' } })
    expect(kept).toMatchObject(refusal(413, 'payload_too_large'))
    expect((await z.tryDelegate(s1, s2, body, { bearer })).status).toBe(201)
  })
})
