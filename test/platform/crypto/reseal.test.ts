/** storage-and-operations §8.5: nothing sealed is forgotten, nothing written meanwhile is put back. */
import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createEnvelopeCipher } from '../../../src/platform/crypto/envelope.ts'
import type { EnvelopeCipher } from '../../../src/platform/crypto/port.ts'
import { type ResealFailure, resealEverything } from '../../../src/platform/crypto/reseal.ts'
import { sealedPlaces } from '../../../src/platform/crypto/sealed-places.ts'
import { createTestDatabase, type TestDatabase } from '../../fixtures/database.ts'
import { eventually } from '../../fixtures/eventually.ts'

const [oldKek, newKek, otherKek] = [randomBytes(32), randomBytes(32), randomBytes(32)]
const old = createEnvelopeCipher({ kek: oldKek })
const both = createEnvelopeCipher({ kek: newKek, previous: oldKek })
const fresh = createEnvelopeCipher({ kek: newKek })

let database: TestDatabase
beforeEach(async () => {
  database = await createTestDatabase()
  await database.admin`insert into zones (id, name, slug) values ('z', 'zone', 'zone')`
})
afterEach(() => database?.[Symbol.asyncDispose]())

const put = (ref: string, value: string, cipher: EnvelopeCipher) => database.admin`
  insert into secret_store (ref, zone_id, envelope) values (${ref}, 'z', ${cipher.seal(Buffer.from(value), ref)})`
const envelopeOf = async (ref: string) => {
  const [row] = await database.admin<{ envelope: Buffer }[]>`
    select envelope from secret_store where ref = ${ref}`
  return row?.envelope ?? Buffer.alloc(0)
}
const reseal = async (options: { cipher?: EnvelopeCipher; dryRun?: boolean } = {}) => {
  const failures: ResealFailure[] = []
  const reports = await resealEverything(database.db, {
    cipher: both,
    ...options,
    onFailure: (failure) => failures.push(failure),
  })
  const store = reports.find((one) => one.table === 'secret_store')
  return { failures, reports, store }
}

test('every column of the schema that may hold an envelope is walked', async () => {
  const columns = await database.admin<{ place: string }[]>`
    select table_name || '.' || column_name as place
    from information_schema.columns
    where table_schema = 'public' and udt_name = 'bytea'
      and (column_name = 'envelope' or column_name like '%\\_ct')`
  expect(sealedPlaces.map(({ table, column }) => `${table}.${column}`).sort()).toEqual(
    columns.map(({ place }) => place).sort(),
  )
})

test('more rows than one batch move, each still opens with its own place, and a second run finds nothing', async () => {
  const refs = Array.from({ length: 450 }, (_, at) => `zones/z/applications/${at}/clientSecret`)
  for (const ref of refs) await put(ref, `value of ${ref}`, old)
  await put('zones/z/workloads/w/secret', 'new already', fresh)
  expect((await reseal({ dryRun: true })).store).toMatchObject({ resealed: 450, current: 1, left: 450 })
  expect((await envelopeOf(refs[0] ?? '')).subarray(4, 12).toString('hex')).toBe(old.keyId)

  const { store, failures } = await reseal()
  expect({ store, failures }).toMatchObject({
    store: { resealed: 450, current: 1, raced: 0, failed: 0, left: 0 },
    failures: [],
  })
  for (const ref of refs) expect(fresh.open(await envelopeOf(ref), ref).toString()).toBe(`value of ${ref}`)
  expect((await reseal()).store).toMatchObject({ resealed: 0, current: 451, left: 0 })
})

test('columns that are null are left alone', async () => {
  await database.admin`
    insert into providers (id, zone_id, name, identifier, provider_kind, config_json)
    values ('p', 'z', 'P', 'p', 'oauth2_authorization_code', '{}')`
  await database.admin`
    insert into provider_connections (id, zone_id, subject_id, provider_id, access_token_ct)
    values ('c', 'z', 's', 'p', ${old.seal(Buffer.from('token'), 'caracal/providerConnections/accessToken')})`
  const { reports } = await reseal()
  const connections = reports.filter(({ table }) => table === 'provider_connections')
  expect(connections).toMatchObject([
    { column: 'access_token_ct', resealed: 1, left: 0 },
    { column: 'refresh_token_ct', resealed: 0, left: 0 },
  ])
})

test('what does not open is told by its place, and does not stop the walk', async () => {
  await put('zones/z/applications/1/clientSecret', 'x', createEnvelopeCipher({ kek: otherKek }))
  await put('zones/z/applications/2/clientSecret', 'x', old)
  const moved = await envelopeOf('zones/z/applications/2/clientSecret')
  await database.admin`
    insert into secret_store (ref, zone_id, envelope) values ('zones/z/applications/3/clientSecret', 'z', ${moved})`
  await database.admin`
    insert into secret_store (ref, zone_id, envelope) values ('zones/z/applications/4/clientSecret', 'z', 'x')`
  const { store, failures } = await reseal()
  expect(store).toMatchObject({ resealed: 1, failed: 3, left: 3 })
  expect(failures.map(({ key, reason }) => [key.split('/')[3], reason])).toEqual([
    ['1', 'envelope is sealed under a different KEK'],
    ['3', 'envelope value was rejected'],
    ['4', 'envelope is too short'],
  ])
})

test('a value that is written in between stays, and is told of while it is under another key', async () => {
  const ref = 'zones/z/applications/1/clientSecret'
  await put(ref, 'first', old)
  const written = old.seal(Buffer.from('second'), ref)
  let walk: ReturnType<typeof reseal> | undefined
  // The other server has the row while the walk, which has read it, waits to replace it.
  await database.admin.begin(async (tx) => {
    await tx`update secret_store set envelope = ${written} where ref = ${ref}`
    walk = reseal()
    await eventually(async () => {
      const [waiting] = await tx`
        select 1 from pg_locks
        where not granted and transactionid = pg_current_xact_id()::xid`
      return waiting !== undefined
    })
  })
  expect((await walk)?.store).toMatchObject({ resealed: 0, raced: 1, failed: 0, left: 1 })
  expect(await envelopeOf(ref)).toEqual(written)
  expect((await reseal()).store).toMatchObject({ resealed: 1, left: 0 })
  expect(fresh.open(await envelopeOf(ref), ref).toString()).toBe('second')
})
