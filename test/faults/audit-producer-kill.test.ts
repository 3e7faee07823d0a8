/**
 * kill -9 of a producing process under load (audit-and-events §21.21): whatever it was told to be
 * accepted, so that authority could leave on it, is in the ledger once the next process runs.
 */
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createAuditSink } from '../../src/roles/audit/index.ts'
import { openScene, type Scene } from '../acceptance/audit/scene.ts'
import { eventually } from '../fixtures/eventually.ts'

let scene: Scene
let directory: string
beforeAll(async () => {
  scene = await openScene('postgres')
  directory = await mkdtemp(join(tmpdir(), 'caracal-producer-'))
})
afterAll(async () => {
  await scene[Symbol.asyncDispose]()
  await rm(directory, { recursive: true, force: true })
})

const dist = fileURLToPath(new URL('../../dist/', import.meta.url))

/** Emits without end and tells each accepted id on stdout before it goes on. */
const producer = `
  import { writeSync } from 'node:fs'
  const { connection, directory, settings, dist } = JSON.parse(process.env.JOB)
  const { openDatabase } = await import(dist + 'platform/db/client.js')
  const { createPostgresBus } = await import(dist + 'platform/bus/postgres.js')
  const { createRegistry } = await import(dist + 'platform/observe/metrics.js')
  const { createAuditSink } = await import(dist + 'roles/audit/index.js')
  const { uuidv7 } = await import(dist + 'platform/ids.js')
  const log = { debug() {}, info() {}, warn() {}, error() {} }
  const key = Buffer.from('0123456789abcdef'.repeat(4), 'hex')
  const db = await openDatabase({ connection, applicationName: 'caracal-producer', settings, log })
  const sink = createAuditSink({
    bus: createPostgresBus({ db, log }), keys: { audit: { current: key, accepted: [key] } },
    directory, log, metrics: createRegistry(), metricPrefix: 'caracal_sts',
  })
  const work = async () => {
    for (;;) {
      const id = uuidv7()
      const accepted = await sink.emit({
        id, zone_id: 'zone-p', event_type: 'token_exchange', request_id: id, decision: 'allow',
        evaluation_status: 'complete', determining_policies_json: [], diagnostics_json: [],
        occurred_at: new Date().toISOString(),
      })
      if (accepted !== 'lost') writeSync(1, id + '\\n')
    }
  }
  await Promise.all(Array.from({ length: 32 }, work))
`

it('everything that was accepted is in the ledger after a restart, once', async () => {
  const settings = {
    CARACAL_MODE: 'dev',
    CARACAL_DB_ALLOW_BYPASSRLS: false,
    DB_POOL_MAX: 4,
    DB_STATEMENT_TIMEOUT_MS: 10_000,
    DB_IDLE_IN_TX_TIMEOUT_MS: 30_000,
    DB_CONNECTION_TIMEOUT_MS: 5_000,
    DB_IDLE_TIMEOUT_MS: 30_000,
  }
  const job = { connection: scene.database.connection, directory, settings, dist }
  const child = spawn(process.execPath, ['--input-type=module', '-e', producer], {
    env: { PATH: process.env.PATH, JOB: JSON.stringify(job) },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let told = ''
  child.stdout.on('data', (chunk: Buffer) => {
    told += chunk.toString()
  })
  await eventually(() => told.split('\n').length > 2_000, { timeoutMs: 30_000, intervalMs: 5 })
  const closed = new Promise((resolve) => child.once('close', resolve))
  child.kill('SIGKILL')
  await closed
  const accepted = told.split('\n').filter((line) => line.length === 36)

  const replica = await scene.replica()
  await using next = createAuditSink({ ...replica.deps, directory, metricPrefix: 'caracal_sts' })
  await next.drainJournal()
  const ids = async () => {
    const rows = await scene.database.admin<{ id: string }[]>`
      select id from audit_events where zone_id = 'zone-p'`
    return rows.map((row) => row.id)
  }
  await eventually(
    async () => {
      const stored = new Set(await ids())
      return accepted.every((id) => stored.has(id))
    },
    { timeoutMs: 20_000 },
  )
  const stored = await ids()
  expect(new Set(stored).size).toBe(stored.length)
}, 90_000)
