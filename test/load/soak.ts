/**
 * `npm run soak -- --minutes N`: governed traffic with spawns, delegations and revocations against the
 * built server, then the invariants, each a named line. Exit 1 when one is broken.
 *
 *   --json   the result as JSON, the last line of stdout
 */
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs, promisify } from 'node:util'
import postgres from 'postgres'
import type { Pool } from 'undici'
import { readScope, resource } from '../../src/cli/demo/operator.ts'
import { type Actor, setScene } from './scene.ts'
import { startServerUnderLoad } from './server.ts'

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '10' }, json: { type: 'boolean', default: false } },
})
const minutes = Number(values.minutes)
if (!(minutes > 0)) throw new Error('--minutes needs a positive number')
const external = process.env.TEST_DATABASE_URL
const redisUrl = process.env.TEST_REDIS_URL
const extra = {
  ...(external === undefined ? {} : { DATABASE_URL: external }),
  ...(redisUrl === undefined ? {} : { REDIS_URL: redisUrl }),
}

await using server = await startServerUnderLoad(extra)
await using scene = await setScene(server, 4)
const sql = external === undefined ? embeddedStore(server.dataDir) : postgres(external, { max: 1 })

const granted: string[] = []
const errors: Record<string, number> = {}
const samples: { readonly at: number; readonly resident: number; readonly connections: number }[] = []
let sessions = 0
let revocations = 0
let worked = 0
const note = (what: string) => {
  errors[what] = (errors[what] ?? 0) + 1
}

const startedAt = Date.now()
const endsAt = startedAt + minutes * 60_000
const running = () => Date.now() < endsAt
await Promise.all([
  ...scene.actors.map((actor) => repeat(() => governed(actor))),
  ...scene.actors.map((actor) => repeat(() => revoked(actor))),
  watch(),
])

const drain = await drained()
const missing = await withoutEvidence()
const chain = await verifyChains()
const resident = thirds((sample) => sample.resident)
const connections = thirds((sample) => sample.connections)
const invariants = [
  line('evidence', missing === 0, `${granted.length} requests answered 2xx, ${missing} without evidence`),
  line('revocation', worked === 0 && revocations > 0, `${revocations} revocations, ${worked} worked after`),
  line('chain', chain.ok, chain.said),
  line('memory', resident.last <= resident.first * 1.2, `${mb(resident.first)} → ${mb(resident.last)}`),
  line(
    'connections',
    connections.last <= connections.first + 2,
    `${connections.first.toFixed(1)} → ${connections.last.toFixed(1)}`,
  ),
  line('drained', drain.ms <= 5000, `${drain.rows} outbox rows pending after ${drain.ms} ms`),
  line('errors', Object.keys(errors).length === 0, JSON.stringify(errors)),
]
await sql.end()
for (const { name, ok, said } of invariants) console.log(`${name.padEnd(14)}${ok ? 'pass' : 'FAIL'}  ${said}`)
if (values.json) console.log(JSON.stringify({ minutes, sessions, revocations, errors, invariants, samples }))
if (invariants.some(({ ok }) => !ok)) process.exitCode = 1

function line(name: string, ok: boolean, said: string) {
  return { name, ok, said }
}

async function repeat(step: () => Promise<void>): Promise<void> {
  while (running()) await step().catch((error: unknown) => note(String(error).slice(0, 160)))
}

async function send(pool: Pool, path: string, headers: Record<string, string>, body: string | null) {
  const requestId = randomUUID()
  const answer = await pool.request({
    method: body === null ? 'GET' : 'POST',
    path,
    headers: { ...headers, 'x-request-id': requestId },
    body,
  })
  const text = await answer.body.text()
  if (answer.statusCode === 200) granted.push(requestId)
  else note(`${path} ${answer.statusCode} ${text.slice(0, 80)}`)
  return { ok: answer.statusCode === 200, text }
}

async function governed(actor: Actor): Promise<void> {
  const form = { 'content-type': 'application/x-www-form-urlencoded' }
  const minted = await send(scene.sts, '/oauth/2/token', form, actor.mintBody)
  if (!minted.ok) return
  const { access_token: mandate } = JSON.parse(minted.text) as { access_token: string }
  const headers = { authorization: `Bearer ${mandate}`, 'x-caracal-resource': resource }
  await send(scene.gateway, '/items', headers, null)
}

/** One edge's life: after its revocation neither the mandate in hand nor a new exchange may work. */
async function revoked({ agent, identity, lifecycle }: Actor): Promise<void> {
  const source = await agent.startSession(lifecycle)
  const target = await agent.startSession(lifecycle)
  sessions += 2
  const edge = await agent.delegate(lifecycle, source, target, [readScope])
  const minted = await agent.mint(target, edge, readScope)
  const mandate = (minted.body as { access_token?: string }).access_token ?? ''
  if (minted.status !== 200) note(`mint before revocation ${minted.status}`)
  const answer = await scene.coordinator.request({
    method: 'PATCH',
    path: `/zones/${identity.zoneId}/delegations/${edge}/revoke`,
    headers: { authorization: `Bearer ${lifecycle}` },
  })
  await answer.body.dump()
  if (answer.statusCode !== 200) note(`revoke ${answer.statusCode}`)
  else {
    revocations += 1
    if ((await agent.fetch(mandate, 'GET', '/items')).status < 300) worked += 1
    if ((await agent.mint(target, edge, readScope)).status < 300) worked += 1
  }
  await agent.endSession(lifecycle, source)
  await agent.endSession(lifecycle, target)
  await sleep(100)
}

async function watch(): Promise<void> {
  const everyMs = Math.min(5000, (minutes * 60_000) / 12)
  while (running()) {
    await sleep(Math.max(1, Math.min(everyMs, endsAt - Date.now())))
    const [row] = await sql<{ n: number }[]>`select count(*)::int as n from pg_stat_activity`
    const at = Math.round((Date.now() - startedAt) / 1000)
    samples.push({ at, resident: server.residentBytes(), connections: row?.n ?? 0 })
    console.error(`${at} s  ${granted.length} granted  ${revocations} revoked  ${mb(server.residentBytes())}`)
  }
}

/** Means of the first and the last third, the first fifth being warm-up. */
function thirds(of: (sample: (typeof samples)[number]) => number): { first: number; last: number } {
  const warm = samples.slice(Math.floor(samples.length / 5)).map(of)
  const size = Math.max(1, Math.floor(warm.length / 3))
  const mean = (part: readonly number[]) => part.reduce((sum, one) => sum + one, 0) / part.length
  return { first: mean(warm.slice(0, size)), last: mean(warm.slice(-size)) }
}

async function drained(): Promise<{ ms: number; rows: number }> {
  const from = Date.now()
  for (;;) {
    const [row] = await sql<{ n: number }[]>`
      select count(*)::int as n from caracal_outbox where status = 'pending'`
    const rows = row?.n ?? 0
    const ms = Date.now() - from
    if ((rows === 0 && (await withoutEvidence()) === 0) || ms > 5000) return { ms, rows }
    await sleep(100)
  }
}

async function withoutEvidence(): Promise<number> {
  const [row] = await sql<{ n: number }[]>`
    select count(*)::int as n from unnest(${granted}::text[]) as asked(id)
    where not exists (select from audit_events where request_id = asked.id)`
  return row?.n ?? granted.length
}

async function verifyChains(): Promise<{ ok: boolean; said: string }> {
  const main = fileURLToPath(new URL('../../../dist/main.js', import.meta.url))
  try {
    const env = { PATH: process.env.PATH, CARACAL_DATA_DIR: server.dataDir, ...extra }
    const { stdout } = await promisify(execFile)(process.execPath, [main, 'audit', 'verify', '--json'], {
      env,
    })
    const report = JSON.parse(stdout) as { ok: boolean; checked: number; findings_total: number }
    return { ok: report.ok, said: `${report.checked} links, ${report.findings_total} findings` }
  } catch (error) {
    return { ok: false, said: String(error).slice(0, 300) }
  }
}

function embeddedStore(dataDir: string) {
  const file = readdirSync(dataDir, { recursive: true, encoding: 'utf8' }).find((path) =>
    path.endsWith('postmaster.pid'),
  )
  if (file === undefined) throw new Error('the embedded store has no postmaster.pid')
  const lines = readFileSync(join(dataDir, file), 'utf8').split('\n')
  const password = readFileSync(join(dataDir, 'secrets', 'postgresPassword'), 'utf8').trim()
  return postgres({
    host: lines[4] ?? '',
    port: Number(lines[3]),
    user: 'caracal',
    database: 'caracal',
    password,
    max: 1,
  })
}

function mb(bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`
}
