/** What is remembered of a credential, and what makes it forgotten (control-api §12.1). */
import pino from 'pino'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createPostgresBus, type PostgresBus } from '../../../src/platform/bus/postgres.ts'
import { signEntry } from '../../../src/platform/bus/signature.ts'
import type { KeyRing } from '../../../src/platform/keys.ts'
import type { Principal } from '../../../src/roles/control/principal.ts'
import { createProvenPrincipals } from '../../../src/roles/control/proven-principals.ts'
import { createTestDatabase, type TestDatabase } from '../../fixtures/database.ts'
import { eventually } from '../../fixtures/eventually.ts'

const log = pino({ level: 'silent' })
const key = { current: Buffer.alloc(32, 1), accepted: [Buffer.alloc(32, 1)] }
const keys: KeyRing = { audit: key, streams: key, gatewaySts: key, idempotency: key }
const tokens = { forget: () => undefined }
const stream = 'caracal.iam.invalidate'

let database: TestDatabase
let bus: PostgresBus
beforeEach(async () => {
  database = await createTestDatabase()
  bus = createPostgresBus({ db: database.db, log, pollMs: 50 })
})
afterEach(async () => {
  await bus[Symbol.asyncDispose]()
  await database[Symbol.asyncDispose]()
})

const principal = (id: string, accountId: string | null = null): Principal => ({
  kind: 'api_key',
  id,
  name: id,
  zoneId: null,
  capability: 'write',
  bootstrap: false,
  derived: false,
  seesEverything: false,
  managesControl: false,
  bindings: [],
  accountId,
  expiresAt: null,
})

const tell = (fields: Record<string, string>) =>
  bus.publish([{ stream, fields: signEntry(key, stream, fields) }])

/** Proves `id` and answers how often the proof really ran. */
function counting(proven: ReturnType<typeof createProvenPrincipals>) {
  const runs = new Map<string, number>()
  const prove = (id: string, accountId: string | null = null) =>
    proven.prove('api_key', id, async () => {
      runs.set(id, (runs.get(id) ?? 0) + 1)
      return principal(id, accountId)
    })
  return { prove, runs: (id: string) => runs.get(id) ?? 0 }
}

test('one principal is forgotten, with the keys of its account; the others stay', async () => {
  const proven = createProvenPrincipals({ bus, keys, log, tokens })
  await using _ = await proven.follow()
  const { prove, runs } = counting(proven)
  for (const id of ['a', 'a', 'b']) await prove(id, id === 'a' ? 'account' : null)
  expect([runs('a'), runs('b')]).toEqual([1, 1])
  await tell({ principal_id: 'account' })
  await eventually(async () => {
    await prove('a', 'account')
    return runs('a') === 2
  })
  await prove('b')
  expect(runs('b')).toBe(1)
})

test('without a name all are forgotten; an unsigned message changes nothing', async () => {
  const proven = createProvenPrincipals({ bus, keys, log, tokens })
  await using _ = await proven.follow()
  const { prove, runs } = counting(proven)
  await prove('a')
  await bus.publish([{ stream, fields: { principal_id: 'a' } }])
  await tell({ principal_id: 'somebody else' })
  await prove('a')
  expect(runs('a')).toBe(1)
  await tell({ request_id: 'r' })
  await eventually(async () => {
    await prove('a')
    return runs('a') === 2
  })
})

test('a proof that began before the change is not remembered', async () => {
  const proven = createProvenPrincipals({ bus, keys, log, tokens })
  await using _ = await proven.follow()
  const { prove, runs } = counting(proven)
  await prove('witness')
  let finish: (found: Principal) => void = () => undefined
  const slow = proven.prove('api_key', 'a', () => new Promise((resolve) => (finish = resolve)))
  await tell({ request_id: 'r' })
  await eventually(async () => {
    await prove('witness')
    return runs('witness') === 2
  })
  finish(principal('a'))
  expect((await slow)?.id).toBe('a')
  await prove('a')
  expect(runs('a')).toBe(1)
})

test('what an API key proved is not what a bearer of the same text proves', async () => {
  const proven = createProvenPrincipals({ bus, keys, log, tokens })
  await proven.prove('api_key', 'text', async () => principal('a'))
  expect(await proven.prove('login', 'text', async () => null)).toBeNull()
})
