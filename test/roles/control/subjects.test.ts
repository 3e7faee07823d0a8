/** The list of subjects says what their authority records say, however much of it the reaper has summed up. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { uuidv7 } from '../../../src/platform/ids.ts'
import { expireAuthorityRecords } from '../../../src/roles/control/store/authority.ts'
import { listSubjects, type Subject } from '../../../src/roles/control/store/subjects.ts'
import { revokeRecordIn } from '../../../src/roles/sts/store/revoke-record.ts'
import { createTestDatabase, type TestDatabase } from '../../fixtures/database.ts'

const zone = 'zone-subjects'
const issuer = 'https://issuer.test'

let database: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase()
  const { admin } = database
  await admin`insert into zones (id, name, slug) values (${zone}, 'z', 'z'), ('elsewhere', 'e', 'e')`
  await admin`insert into applications (id, zone_id, name, registration_method) values ('app-1', ${zone}, 'Robot', 'managed')`
})
afterAll(() => database[Symbol.asyncDispose]())

/** `age` and `left` in minutes; `left` below zero is a record past its time. */
async function record(subject: string | null, age: number, left: number, federated = false): Promise<string> {
  const id = uuidv7()
  const claims = federated ? { iss: issuer } : null
  await database.admin`
    insert into authority_records
      (id, zone_id, session_type, subject_id, created_at, authenticated_at, expires_at, claims_json)
    values (${id}, ${zone}, 'user', ${subject}, now() - make_interval(mins => ${age}), now(),
            now() + make_interval(mins => ${left}), ${claims === null ? null : JSON.stringify(claims)}::text::jsonb)`
  return id
}

const revoke = (id: string) => database.db.transaction((tx) => revokeRecordIn(tx, zone, id, 'told'))

/** What the records themselves say. */
function counted() {
  return database.admin<Subject[]>`
    select a.subject_id, coalesce(bool_or(a.claims_json ? 'iss'), false) as federated,
      app.name as application_name, count(*)::int as total_sessions,
      count(*) filter (where a.status = 'active' and a.expires_at > now())::int as active_sessions,
      count(*) filter (where a.status = 'revoked')::int as revoked_sessions,
      min(a.created_at) as first_seen, max(a.created_at) as last_seen, max(a.revoked_at) as last_revoked_at,
      max(a.claims_json->>'iss') as issuer
    from authority_records a
    left join applications app on app.zone_id = a.zone_id and app.id = a.subject_id
    where a.zone_id = ${zone} and a.subject_id is not null
    group by a.subject_id, app.name
    order by max(a.created_at) desc, a.subject_id desc`
}

async function listed(limit: number): Promise<Subject[]> {
  const found: Subject[] = []
  let cursor: string | undefined
  do {
    const page = await listSubjects(database.db, zone, {}, { limit, cursor })
    found.push(...page.items)
    cursor = page.next_cursor ?? undefined
  } while (cursor !== undefined)
  return found
}

async function agrees(): Promise<void> {
  const truth = [...(await counted())]
  expect(await listed(2)).toEqual(truth)
  expect(await listed(200)).toEqual(truth)
}

test('the sums agree with the records at every point of their lives', async () => {
  const { db, admin } = database
  await agrees()
  const lapsed = await record('user-1', 60, -30)
  await record('user-1', 50, 30)
  await record('user-2', 50, -30, true)
  await record('app-1', 40, -20)
  await record('user-3', 30, 30)
  await record('user-4', 20, -10)
  await record(null, 10, -5)
  const live = await record('user-5', 5, 30)
  await agrees()

  expect(await expireAuthorityRecords(db, 2)).toBe(2)
  await agrees()
  await expireAuthorityRecords(db, 100)
  expect(await expireAuthorityRecords(db, 100)).toBe(0)
  await agrees()

  // Revoked while active, and revoked after it was summed up as expired.
  await revoke(live)
  await revoke(lapsed)
  await agrees()
  expect(await expireAuthorityRecords(db, 100)).toBe(2)
  expect(await expireAuthorityRecords(db, 100)).toBe(0)
  await agrees()
  const [known] = await admin`select records::int, revoked::int from subjects where subject_id = 'user-1'`
  expect(known).toEqual({ records: 1, revoked: 1 })

  // Seen again: it moves to the front with all it had before.
  await record('user-2', 0, 30)
  await agrees()
  expect((await listed(1))[0]).toMatchObject({
    subject_id: 'user-2',
    total_sessions: 2,
    federated: true,
    issuer,
  })
})

test('kind, search and one subject narrow both what is summed up and what is not', async () => {
  const ids = async (filters: Parameters<typeof listSubjects>[2]) =>
    (await listSubjects(database.db, zone, filters, { limit: 200 })).items.map((item) => item.subject_id)
  expect(await ids({ kind: 'application' })).toEqual(['app-1'])
  expect(await ids({ kind: 'user' })).toEqual(['user-2', 'user-5', 'user-4', 'user-3', 'user-1'])
  expect(await ids({ search: 'ROBO' })).toEqual(['app-1'])
  expect(await ids({ search: 'ser-3' })).toEqual(['user-3'])
  expect(await ids({ search: '%' })).toEqual([])
  expect(await ids({ subject_id: 'user-2' })).toEqual(['user-2'])
  expect(await ids({ subject_id: 'user-4' })).toEqual(['user-4'])
  expect((await listSubjects(database.db, 'elsewhere', {}, { limit: 200 })).items).toEqual([])
})

test('a revocation does not wait for the reaper of the same subject', async () => {
  const { db } = database
  const first = await record('user-9', 5, -1)
  const second = await record('user-9', 4, 30)
  const reaper = await database.open()
  try {
    await reaper.transaction(async (tx) => {
      expect(await expireAuthorityRecords(tx, 100)).toBeGreaterThan(0)
      expect(await revoke(second)).toBe(1)
    })
  } finally {
    await reaper[Symbol.asyncDispose]()
  }
  await revoke(first)
  await agrees()
  await expireAuthorityRecords(db, 100)
  await agrees()
})

test('what is left of an archived zone ends with its records', async () => {
  const { db, admin } = database
  const live = await record('user-10', 5, 30)
  const status = async () => (await admin`select status from authority_records where id = ${live}`)[0]?.status
  await expireAuthorityRecords(db, 100)
  expect(await status()).toBe('active')
  await admin`update zones set archived_at = now() where id = ${zone}`
  await expireAuthorityRecords(db, 100)
  expect(await status()).toBe('expired')
  expect(await expireAuthorityRecords(db, 100)).toBe(0)
  await agrees()
})
