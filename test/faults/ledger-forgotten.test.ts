/**
 * The ledger and its acknowledgements are committed without waiting for the disk. A crash of the store that takes
 * back both must cost nothing: the entries come again.
 */
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createPostgresBus, type PostgresBus } from '../../src/platform/bus/postgres.ts'
import { hmacHex } from '../../src/platform/crypto/hmac.ts'
import { keyRing } from '../../src/platform/crypto/key-ring.ts'
import { openDatabase } from '../../src/platform/db/client.ts'
import { migrate } from '../../src/platform/db/migrate.ts'
import type { Database } from '../../src/platform/db/port.ts'
import type { EmbeddedPostgres } from '../../src/platform/embedded/port.ts'
import { startEmbeddedPostgres } from '../../src/platform/embedded/start.ts'
import { createRegistry } from '../../src/platform/observe/metrics.ts'
import type { Role } from '../../src/platform/role.ts'
import { createAudit, verifyChain } from '../../src/roles/audit/index.ts'
import { event, stream } from '../acceptance/audit/scene.ts'
import { databaseSettings } from '../fixtures/database.ts'
import { eventually } from '../fixtures/eventually.ts'
import { testSettings } from '../fixtures/settings.ts'
import { childrenOf } from '../load/process-tree.ts'
import { silent } from '../platform/bus/postgres-store.ts'

const zone = 'zone-forgotten'
const settings = testSettings()
const keys = keyRing(settings)
const metrics = createRegistry()

let directory: string
let store: EmbeddedPostgres
let db: Database
let bus: PostgresBus
let role: Role

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'caracal-forgotten-'))
  store = await startEmbeddedPostgres({ dataDir: join(directory, 'store'), log: silent })
  await migrate(store.connection, { log: silent })
  db = await openDatabase({
    connection: store.connection,
    applicationName: 'caracal-test',
    settings: databaseSettings,
    log: silent,
  })
  bus = createPostgresBus({ db, log: silent, pollMs: 100 })
  role = createAudit({ settings, db, bus, keys, log: silent, metrics })
  await role.prepare(new AbortController().signal)
}, 60_000)
afterAll(async () => {
  await role[Symbol.asyncDispose]()
  await bus[Symbol.asyncDispose]()
  await db[Symbol.asyncDispose]()
  await store[Symbol.asyncDispose]()
  await rm(directory, { recursive: true, force: true })
})

/** The process that brings to disk what nobody waits for. */
function walWriter(): number {
  const found = childrenOf(store.pid ?? 0).find((pid) =>
    readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('walwriter'),
  )
  if (found === undefined) throw new Error('no such process')
  return found
}

async function publish(count: number): Promise<void> {
  const key = keys.audit.current
  if (key === null) throw new Error('no key to sign with')
  const outcomes = await bus.publish(
    Array.from({ length: count }, () => {
      const one = event(zone)
      const data = JSON.stringify(one)
      return { stream, fields: { id: one.id, data, sig: hmacHex(key, data) } }
    }),
  )
  expect(outcomes.every((outcome) => outcome.ok)).toBe(true)
}

const stored = async (): Promise<number> => {
  const [row] = await db.sql<{ n: number }[]>`
    select count(*)::int as n from audit_events where zone_id = ${zone}`
  return row?.n ?? 0
}

const inserted = async (): Promise<number> =>
  Number(/^caracal_audit_inserts_total (\d+)$/m.exec(await metrics.metrics())?.[1])

const waiting = async (): Promise<{ readonly pending: number; readonly undelivered: number }> =>
  bus.group(stream, 'audit-ingestor').stats()

const settled = (count: number): Promise<unknown> =>
  eventually(
    async () => {
      const { pending, undelivered } = await waiting()
      return (await stored()) === count && pending + undelivered === 0
    },
    { timeoutMs: 20_000, intervalMs: 50 },
  )

/** Ends the writer, so that the server starts anew from what is on disk. */
async function forget(count: number, writer: number): Promise<void> {
  const before = await inserted()
  process.kill(writer, 'SIGKILL')
  // Long before the reaper would look.
  await eventually(async () => (await inserted()) > before, { timeoutMs: 20_000, intervalMs: 50 })
  await settled(count)
  expect(await verifyChain(db, keys.audit, zone)).toMatchObject({ checked: count, findings: [] })
  expect(await bus.length('caracal.audit.events.dlq')).toBe(0)
}

describe.runIf(process.platform === 'linux')(
  'what a crash made the store forget is in the ledger again, once',
  () => {
    it('when it was handed out, stored and acknowledged', async () => {
      await publish(40)
      await settled(40)
      const writer = walWriter()
      process.kill(writer, 'SIGSTOP')
      await publish(60)
      await settled(100)
      await forget(100, writer)
    }, 60_000)

    it('when that it was handed out is on disk', async () => {
      const writer = walWriter()
      process.kill(writer, 'SIGSTOP')
      await db.transaction(async (tx) => {
        await tx.sql`select pg_advisory_xact_lock(hashtextextended(${`audit:${zone}`}, 0))`
        await publish(50)
        await eventually(async () => (await waiting()).pending === 50, { timeoutMs: 20_000, intervalMs: 20 })
        // A commit that waits for the disk takes along what was committed before it.
        await db.sql`insert into zones (id, name, slug) values ('zone-other', 'other', 'other')`
      })
      await settled(150)
      await forget(150, writer)
    }, 60_000)
  },
)
