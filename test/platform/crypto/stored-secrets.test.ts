import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createCredentialHasher, loadCredentialKey } from '../../../src/platform/crypto/credentials.ts'
import { createEnvelopeCipher, EnvelopeError } from '../../../src/platform/crypto/envelope.ts'
import {
  clientSecretRef,
  createSecretStore,
  providerSecretRef,
} from '../../../src/platform/crypto/secret-store.ts'
import { createTestDatabase, type TestDatabase } from '../../fixtures/database.ts'

const cipher = createEnvelopeCipher({ kek: randomBytes(32) })
let database: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase()
  await database.admin`
    insert into zones (id, name, slug)
    values ('zone-1', 'zone', 'zone-1')`
})
afterAll(() => database?.[Symbol.asyncDispose]())

describe('credential key', () => {
  test('processes that start together agree on one key', async () => {
    const keys = await Promise.all(Array.from({ length: 5 }, () => loadCredentialKey(database.db, cipher)))
    expect(new Set(keys.map((key) => key.toString('hex'))).size).toBe(1)
    const [row] = await database.admin<
      { count: string }[]
    >`select count(*)::text as count from credential_keys`
    expect(row?.count).toBe('1')
    expect(await loadCredentialKey(database.db, cipher)).toEqual(keys[0])
  })

  test('what was hashed before still verifies after a restart; another KEK refuses to start', async () => {
    const before = createCredentialHasher({
      credentialKey: await loadCredentialKey(database.db, cipher),
      concurrency: 1,
    })
    const stored = before.hashGenerated('cs_x')
    const after = createCredentialHasher({
      credentialKey: await loadCredentialKey(database.db, cipher),
      concurrency: 1,
    })
    expect(await after.verify('cs_x', stored)).toBe(true)
    const other = createEnvelopeCipher({ kek: randomBytes(32) })
    await expect(loadCredentialKey(database.db, other)).rejects.toBeInstanceOf(EnvelopeError)
  })
})

describe('secret store', () => {
  const store = createSecretStore({ cipher })
  const ref = clientSecretRef('zone-1', 'app-1')

  test('what is put comes back, sealed in the table, versioned on overwrite, gone when deleted', async () => {
    await store.put(database.db, ref, 'cs_first')
    await store.put(database.db, ref, 'cs_second')
    expect(await store.get(database.db, ref)).toBe('cs_second')
    const [row] = await database.admin<{ zone_id: string; version: number; envelope: Buffer }[]>`
      select zone_id, version, envelope
      from secret_store
      where ref = ${ref}`
    expect(row).toMatchObject({ zone_id: 'zone-1', version: 2 })
    expect(row?.envelope.includes('cs_second')).toBe(false)
    await store.delete(database.db, ref)
    expect(await store.get(database.db, ref)).toBeNull()
  })

  test('a value moved to another ref does not open', async () => {
    await store.put(database.db, ref, 'cs_moved')
    const elsewhere = providerSecretRef('zone-1', 'p-1')
    await database.admin`
      insert into secret_store (ref, zone_id, envelope)
      select ${elsewhere}, zone_id, envelope
      from secret_store
      where ref = ${ref}`
    await expect(store.get(database.db, elsewhere)).rejects.toMatchObject({ reason: 'value_rejected' })
  })

  test('a role without a KEK cannot use it', async () => {
    await expect(createSecretStore({ cipher: null }).get(database.db, ref)).rejects.toThrow(
      'SECRET_STORE_KEK',
    )
  })
})
