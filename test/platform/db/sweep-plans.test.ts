/** What is deleted in batches is found through an index, however its statement was planned: no batch reads the table. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { trimToLength } from '../../../src/platform/bus/postgres-trim.ts'
import type { Database, Tx } from '../../../src/platform/db/port.ts'
import { createPostgresEphemera } from '../../../src/platform/ephemera/postgres.ts'
import { deletePublished } from '../../../src/platform/outbox/rows.ts'
import {
  deleteExpiredReceipts,
  deleteOldEdges,
  deleteOldInvocations,
  deleteOldSessions,
} from '../../../src/roles/coordinator/store/sweeps.ts'
import { sweepHolds } from '../../../src/roles/sts/store/holds.ts'
import { createTestDatabase, silentLog, type TestDatabase } from '../../fixtures/database.ts'
import { jobContext } from '../../fixtures/job-context.ts'

const rows = 8_000
/** One row in fifty is old enough. */
const long = `now() - interval '1 day' * (case when n % 50 = 0 then 200 else 0 end)`

interface Sweep {
  readonly table: string
  /** Columns and their values in terms of `n`. */
  readonly filled: readonly [string, string]
  run(db: Database): Promise<unknown>
}

const inTransaction = (batch: (tx: Tx) => Promise<unknown>) => (db: Database) => db.transaction(batch)

const sweeps: readonly Sweep[] = [
  {
    table: 'caracal_outbox',
    filled: [
      'id, producer, topic, dedupe_key, payload_json, status, available_at, created_at, updated_at',
      `n::text, 'coordinator', 't', n::text, '{}', 'published', ${long}, ${long}, ${long}`,
    ],
    run: inTransaction((tx) => deletePublished(tx, 7, 100)),
  },
  {
    table: 'coordinator_idempotency_receipts',
    filled: [
      `id, operation, zone_id, scope_id, key_digest, request_digest, resource_type, resource_id, response_status,
       response_json, created_at, expires_at`,
      `n::text, 'session.start.v2', 'z', 's', decode(lpad(to_hex(n), 64, '0'), 'hex'), decode(repeat('00', 32), 'hex'),
       'session', 'r', 201, '{}', ${long} - interval '1 day', ${long} + interval '1 hour'`,
    ],
    run: inTransaction((tx) => deleteExpiredReceipts(tx, 100)),
  },
  {
    table: 'delegation_edges',
    filled: [
      `id, zone_id, source_agent_id, target_agent_id, issuer_application_id, receiver_application_id, status,
       expires_at, revoked_at`,
      `n::text, 'z', 'a' || n, 'b' || n, 'a', 'a', 'revoked', now(), ${long}`,
    ],
    run: inTransaction((tx) => deleteOldEdges(tx, 90, 100)),
  },
  {
    table: 'agent_sessions',
    filled: [
      'id, zone_id, application_id, session_sid, status, terminated_at',
      `n::text, 'z', 'a', n::text, 'terminated', ${long}`,
    ],
    run: inTransaction((tx) => deleteOldSessions(tx, 90, 100)),
  },
  {
    table: 'agent_invocations',
    filled: [
      'id, zone_id, service_id, idempotency_key, method, request_digest, status, updated_at',
      `n::text, 'z', 's', n::text, 'm', decode(repeat('00', 32), 'hex'), 'succeeded', ${long}`,
    ],
    run: inTransaction((tx) => deleteOldInvocations(tx, 90, 100)),
  },
  {
    table: 'step_up_challenges',
    filled: [
      'id, zone_id, session_id, challenge_type, principal_id, resource_set_hash, expires_at',
      `n::text, 'z', n::text, 'human_approval', 'p', decode(lpad(to_hex(n), 64, '0'), 'hex'), ${long}`,
    ],
    run: (db) => sweepHolds(db, 100),
  },
  {
    table: 'ephemera',
    filled: ['key, value, expires_at', `n::text, '', ${long} + interval '1 hour'`],
    async run(db) {
      await using ephemera = createPostgresEphemera({ db, log: silentLog as never })
      for (const job of ephemera.jobs) await job.run(jobContext())
    },
  },
  {
    table: 'bus_event',
    filled: ['stream, payload', `'s' || n % 2, '{}'`],
    run: (db) => trimToLength(db.sql, 's1', rows / 2 - 100),
  },
]

let database: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase()
  await database.admin.begin(async (sql) => {
    await sql`set local session_replication_role = replica`
    for (const { table, filled } of sweeps) {
      const [columns, values] = filled
      await sql.unsafe(
        `insert into ${table} (${columns}) select ${values} from generate_series(1, ${rows}) as n`,
      )
    }
  })
  for (const { table } of sweeps) await database.admin.unsafe(`vacuum analyze ${table}`)
})
afterAll(() => database[Symbol.asyncDispose]())

/** Rows of the table that were read one after the other, and rows that were deleted. */
async function counted(table: string): Promise<{ readonly read: number; readonly deleted: number }> {
  const [row] = await database.admin<{ read: number; deleted: number }[]>`
    select seq_tup_read::float8 as read, n_tup_del::float8 as deleted
    from pg_stat_user_tables
    where relname = ${table}`
  if (row === undefined) throw new Error(`no statistics of ${table}`)
  return row
}

test.each(sweeps)('$table', async ({ table, run }) => {
  const before = await counted(table)
  const db = await database.open({ plans: 'generic' })
  try {
    await run(db)
  } finally {
    // Sessions tell what they did when they end, at the latest.
    await db[Symbol.asyncDispose]()
  }
  await expect.poll(async () => (await counted(table)).deleted - before.deleted).toBeGreaterThanOrEqual(100)
  expect((await counted(table)).read - before.read).toBeLessThan(100)
})
