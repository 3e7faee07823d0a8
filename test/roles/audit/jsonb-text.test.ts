/** audit-and-events §5.1: what is hashed is what Postgres gives back, whoever spelled it first. */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { uuidv7 } from '../../../src/platform/ids.ts'
import { frame } from '../../../src/roles/audit/frame.ts'
import { verifyChain } from '../../../src/roles/audit/index.ts'
import { appendEvents, appendPrepared, prepareEvents } from '../../../src/roles/audit/ingest/append.ts'
import { classify, type IncomingEvent } from '../../../src/roles/audit/ingest/classify.ts'
import { jsonbText, keepsSpelling } from '../../../src/roles/audit/jsonb-text.ts'
import { createTestDatabase, type TestDatabase } from '../../fixtures/database.ts'

const secret = Buffer.from('0123456789abcdef'.repeat(4), 'hex')
const key = { current: secret, accepted: [secret] }

let store: TestDatabase
beforeAll(async () => {
  store = await createTestDatabase()
})
afterAll(() => store[Symbol.asyncDispose]())

async function byPostgres(texts: readonly string[]): Promise<string[]> {
  const rows = await store.db.sql<{ text: string }[]>`
    select t::jsonb::text as text
    from unnest(${texts as string[]}::text[]) with ordinality as given(t, n)
    order by n`
  return rows.map(({ text }) => text)
}

function incoming(zoneId: string, metadata: string, id = uuidv7()): IncomingEvent {
  const fixed = JSON.stringify({
    id,
    zone_id: zoneId,
    event_type: 'token_exchange',
    request_id: 'req\u001f1',
    occurred_at: '2026-05-21T12:00:00.123456789Z',
  })
  const data = `${fixed.slice(0, -1)},"metadata_json":${metadata}}`
  const classified = classify(
    { id: '1-0', stream: 'caracal.audit.events', fields: frame(id, data, key) },
    key,
  )
  if (!classified.ok) throw new Error(classified.reason)
  return classified.event
}

/** What Postgres can hold of a string: no NUL, no half of a pair. */
const storable = (drawn: string): string => Buffer.from(drawn.replaceAll('\0', '')).toString()
const text = fc.string({ unit: 'grapheme' }).map(storable)
const document = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    text,
    fc.string({ unit: 'binary' }).map(storable),
    fc.maxSafeInteger(),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(text, tie('value'), { maxKeys: 8 }),
  ),
})).value

describe('jsonb::text, spelled here', () => {
  it('is what Postgres says, for any document without fractions', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(document, { minLength: 40, maxLength: 40 }), async (documents) => {
        const texts = documents.map((one) => JSON.stringify(one))
        expect(documents.map((one) => jsonbText(one))).toEqual(await byPostgres(texts))
      }),
      { numRuns: 25 },
    )
  })

  it('knows members again by all of their names', async () => {
    const texts = [
      '{}',
      '{"":{}}',
      '{"b":1,"a":2}',
      '{"a":3,"b":4}',
      '{"a":{"a\\u001fb":5}}',
      '{"a":{"a":6,"b":7}}',
    ]
    for (const round of [1, 2]) {
      const spelled = texts.map((one) => jsonbText(JSON.parse(one)))
      expect({ round, spelled }).toEqual({ round, spelled: await byPostgres(texts) })
    }
  })

  it.each([
    ['keys by length, then by bytes', '{"bb":1,"a":2,"ä":3,"aa":4,"\u{1f600}":5,"\uffee\u00e9":6,"":7}'],
    ['duplicates: the last', '{"a":1,"a":{"b":2}}'],
    ['escapes', '"\\u0001\\b\\f\\n\\r\\t\\"\\\\\\/\\u007f\\u2028"'],
    ['numbers', '[0,-0,-1,9007199254740991,-9007199254740991]'],
    ['white space', ' { "a" : [ 1 , { } , [ ] ] } '],
    ['a key of every object', '{"__proto__":1,"constructor":2}'],
  ])('%s', async (_, json) => {
    expect(keepsSpelling(json)).toBe(true)
    expect([jsonbText(JSON.parse(json))]).toEqual(await byPostgres([json]))
  })

  it.each(['[1.0]', '{"a":1e3}', '[ -0.0]', '{"a": 2E-4}', '[1,\n1.50]'])('leaves %s to Postgres', (json) => {
    expect(keepsSpelling(json)).toBe(false)
  })

  it('leaves integers to Postgres that lose digits here, and what is nested too deep', () => {
    expect(jsonbText(JSON.parse('[9007199254740993]'))).toBeNull()
    expect(jsonbText(JSON.parse(`${'['.repeat(200_000)}${']'.repeat(200_000)}`))).toBeNull()
  })
})

describe('the chain', () => {
  it('asks Postgres nothing about an event like those of sts and gateway', async () => {
    const metadata = {
      resource: 'resource://inventory',
      upstream_host: '127.0.0.1',
      agent_depth: 0,
      latency_ms: 3,
      agent_labels: ['blue 3.5', '2026-05-21T12:00:00.1Z'],
      delegation_chain: [{ application_id: uuidv7() }],
    }
    const asked = await createTestDatabase()
    await asked[Symbol.asyncDispose]()
    const [prepared] = await prepareEvents(asked.db, [incoming(uuidv7(), JSON.stringify(metadata))])
    expect(JSON.parse(prepared?.form.metadata ?? 'null')).toEqual(metadata)
    await expect(prepareEvents(asked.db, [incoming(uuidv7(), '{"share":0.5}')])).rejects.toThrow()
  })

  it('takes events of either spelling, verifies, and knows a repeat of each', async () => {
    const zone = uuidv7()
    const events = ['{"n":1}', '{"n":1.50}', '{"big":123456789012345678901234567890}', 'null'].map(
      (metadata) => incoming(zone, metadata),
    )
    expect([...(await appendEvents(store.db, key, events)).values()]).toEqual(Array(4).fill('stored'))
    expect([...(await appendEvents(store.db, key, events)).values()]).toEqual(Array(4).fill('duplicate'))
    expect((await verifyChain(store.db, key, zone)).total).toBe(0)
  })

  it('never stores a hash that is not that of its row: it is spelled again', async () => {
    const zone = uuidv7()
    const event = incoming(zone, '{"b":1,"a":2}')
    const [right] = await prepareEvents(store.db, [event])
    if (right === undefined) throw new Error('nothing was prepared')
    const wrong = { ...right, form: { ...right.form, metadata: '{"b": 1, "a": 2}' }, hash: 'f'.repeat(64) }
    expect([...(await appendPrepared(store.db, key, [wrong])).values()]).toEqual(['stored'])
    const [row] = await store.db.sql<{ content_sha256: string }[]>`
      select content_sha256 from audit_events where zone_id = ${zone}`
    expect(row?.content_sha256).toBe(right.hash)
    expect([...(await appendPrepared(store.db, key, [wrong])).values()]).toEqual(['duplicate'])
    expect((await verifyChain(store.db, key, zone)).total).toBe(0)
  })

  it('stores any text whole, whatever it is made of', async () => {
    const zone = uuidv7()
    const texts = [
      'a\x1fb',
      '\x1e',
      '\x1d',
      '\x1f\x1e\x1d\u{f0000}',
      '\u{f0001}\u{f0002}ä€😀',
      '"\\\'{}\n',
      'null',
      '',
    ]
    const events = texts.map((policySetId) => ({ ...incoming(zone, '{"a":"\\u001f\\u001e"}'), policySetId }))
    const signed = events.map((event, index) => (index === 2 ? { ...event, signature: '\x1d' } : event))
    expect(new Set((await appendEvents(store.db, key, signed)).values())).toEqual(new Set(['stored']))
    const rows = await store.db.sql<{ text: string | null; signature: string | null }[]>`
      select policy_set_id as text, ingest_signature as signature
      from audit_events where zone_id = ${zone} order by chain_seq`
    expect(rows.map(({ text }) => text ?? '')).toEqual(texts)
    expect(rows.map(({ signature }) => signature)).toEqual(signed.map(({ signature }) => signature))
    expect((await verifyChain(store.db, key, zone)).total).toBe(0)
  })

  it('refuses a text that Postgres could only store changed', async () => {
    const zone = uuidv7()
    const halved = { ...incoming(zone, 'null'), decision: '\ud800' }
    await expect(appendEvents(store.db, key, [halved])).rejects.toThrow('not Unicode')
    const rows = await store.db.sql`select 1 from audit_events where zone_id = ${zone}`
    expect(rows).toHaveLength(0)
  })

  it('knows a repeat inside of one batch and beside new events', async () => {
    const zone = uuidv7()
    const [first, second, third] = ['{"n":1}', '{"n":2}', '{"n":3}'].map((one) => incoming(zone, one))
    if (first === undefined || second === undefined || third === undefined)
      throw new Error('nothing was made')
    const tampered = incoming(zone, '{"n":4}', second.id)
    const batches = [
      [first, { ...first }],
      [first, second],
      [tampered, third, { ...tampered }],
    ]
    const outcomes = []
    for (const batch of batches) outcomes.push([...(await appendEvents(store.db, key, batch)).values()])
    expect(outcomes).toEqual([
      ['stored', 'duplicate'],
      ['duplicate', 'stored'],
      ['tampered', 'stored', 'tampered'],
    ])
    expect(await verifyChain(store.db, key, zone)).toMatchObject({ checked: 3, total: 0 })
  })
})
