/** audit-and-events §6.3: evidence that cannot be used leaves a lasting copy and an alert, whatever its bytes. */
import { randomBytes } from 'node:crypto'
import { pino } from 'pino'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Bus } from '../../../src/platform/bus/port.ts'
import { deadLetter } from '../../../src/roles/audit/ingest/dead-letter.ts'
import { createTestDatabase, type TestDatabase } from '../../fixtures/database.ts'

let store: TestDatabase
beforeAll(async () => {
  store = await createTestDatabase()
})
afterAll(() => store[Symbol.asyncDispose]())

const long = randomBytes(8_000).toString('base64')

it.each<[string, Record<string, string>]>([
  ['NUL in the id and the zone of the text', { data: '{"id":"e\\u0000","zone_id":"z\\u0000"}', sig: 'x' }],
  ['NUL in the signature', { data: '{"id":"e","zone_id":"z"}', sig: '\0' }],
  ['NUL in the entry itself', { id: 'e\0', data: '\0{' }],
  ['lone surrogates', { id: '\ud800', data: '{"id":"\\ud800","zone_id":"\udfff"}', sig: '\ud800' }],
  ['a zone no index takes', { data: JSON.stringify({ id: long, zone_id: long }) }],
])('%s', async (_what, fields) => {
  const count = async () => {
    const [row] = await store.admin<{ letters: number; alerts: number }[]>`
      select (select count(*)::int from audit_dead_letters) as letters,
             (select count(*)::int from audit_ingest_alerts) as alerts`
    return row
  }
  const before = await count()
  const id = `${(before?.letters ?? 0) + 1}-0`
  const bus = { publish: async () => [{ ok: true, id }] } as unknown as Bus
  const deps = { bus, db: store.db, log: pino({ level: 'silent' }) }
  await deadLetter(deps, { id: '1-0', stream: 's', fields }, 'hmac_verify_failed')
  expect(await count()).toEqual({ letters: (before?.letters ?? 0) + 1, alerts: (before?.alerts ?? 0) + 1 })
})
