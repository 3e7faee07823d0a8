/**
 * `npm run bench`: closed-loop load against the built server on this machine, with the load
 * generator and the upstream beside it. Prints a table and, as the last line of stdout, JSON.
 *
 *   --quick      shorter rounds
 *   --only a,b   sections by name
 *   --chart FILE the rates as an SVG
 *   --lists a,b  of the flat lists, those whose name contains one of them
 *
 * `--only audit-kill` is a run of its own: 5,000 events a second into one zone for half a minute, with a
 * kill -9 of the ingesting process in the middle; it fails when anything is lost, repeated or out of place.
 *
 * `--only flat-lists` is another: it fills a store with a million rows a list, takes
 * minutes, and fails when a page of the large zone takes more than twice that of the small one.
 * `--only profile` prints what the server's process spends its time and its memory on.
 * `--only policy` starts no server, and fails when a decision takes more than 20 µs.
 */
import { writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { type IngestMeasured, measureIngest } from './audit-ingest.ts'
import { killUnderIngest } from './audit-kill.ts'
import { rateChart } from './chart.ts'
import { closedLoop, type Measured, type Operation } from './closed-loop.ts'
import { bareInserts, idleTransactions } from './embedded-store.ts'
import { runFlatLists } from './flat-lists.ts'
import { bareProxyHop, signAndVerifyMicros } from './floors.ts'
import { gatewayAdded, medianAddedMs } from './gateway-own.ts'
import { lastBytesInProcess, lastBytesOfTwo } from './last-byte.ts'
import { coldCalls, revocations } from './moments.ts'
import { openLoop } from './open-loop.ts'
import {
  delegate,
  enqueueAndComplete,
  governed,
  listPages,
  mint,
  mintOnce,
  services,
  sessionPairs,
  spend,
  startAndTerminate,
} from './operations.ts'
import { runPolicyDecisions } from './policy-decisions.ts'
import { runProfile } from './profile.ts'
import { type Scene, setScene } from './scene.ts'
import { startServerUnderLoad } from './server.ts'
import { type Sketched, sketch } from './sketch.ts'

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    lists: { type: 'string' },
    chart: { type: 'string' },
    // The JSON is printed in any case; the word may be said.
    json: { type: 'boolean', default: true },
  },
})
const seconds = values.quick ? 2 : 6
const only = values.only?.split(',')

if (only?.includes('audit-kill')) {
  const killed = await killUnderIngest(5_000, values.quick ? 6 : 30)
  console.log(
    `audit, killed once: ${killed.events} events at ${killed.perSecond.toFixed(0)}/s · lost ${killed.lost}, repeated ${killed.repeated}, dead letters ${killed.deadLetters}, findings ${killed.findings} · behind for ${Math.round(killed.behindMs)} ms, then p50 ${Math.round(killed.lagP50)} and p99 ${Math.round(killed.lagP99)} ms`,
  )
  console.log(JSON.stringify(killed))
  process.exit(killed.lost + killed.repeated + killed.deadLetters + killed.findings === 0 ? 0 : 1)
}

if (only?.includes('flat-lists')) {
  const flat = await runFlatLists(values.quick ? 100_000 : 1_000_000, values.lists ?? '')
  process.exit(flat ? 0 : 1)
}

if (only?.includes('profile')) {
  await runProfile(values.quick ? 4 : 10)
  process.exit()
}

if (only === undefined || only.includes('policy')) {
  if (!runPolicyDecisions()) process.exitCode = 1
  if (only?.length === 1) process.exit()
}

/** What is a rate; the others are moments and floors. */
const charted = new Set(['mint', 'gateway', 'governed', 'session', 'delegate', 'invoke'])

type Row = Measured & { readonly section: string; readonly ofBareInsert?: number }
const rows: Row[] = []

await using server = await startServerUnderLoad()
const idleBytes = server.residentBytes()
const idleCpu = await idleCpuShare()
const idlePerSecond =
  only === undefined || only.includes('idle') ? await idleTransactions(server.dataDir, 10) : null
await using scene = await setScene(server, 16)

async function section(name: string, workerCounts: readonly number[], prepare: Prepare): Promise<void> {
  if (only !== undefined && !only.includes(name)) return
  for (const workers of workerCounts) {
    const operation = await prepare(scene, workers)
    const measured = await closedLoop({ workers, seconds }, operation, server)
    const ofBareInsert =
      workers === 16 ? { ofBareInsert: measured.perSecond / floors.bareInsert.perSecond } : {}
    report({ section: name, ...measured, ...ofBareInsert })
  }
}

/** Governed calls at half of the highest rate this run reached, by the clock instead of by the answers. */
async function halfLoad(): Promise<void> {
  const best = Math.max(0, ...rows.filter((row) => row.section === 'governed').map((row) => row.perSecond))
  if (best === 0) return
  const arrivals = { perSecond: best / 2, seconds: seconds * 2, callers: 64 }
  const measured = await openLoop(arrivals, governed(scene), server)
  report({ section: 'governed, half load', ...measured })
}

/** `revoke to refused` is asked for as `--only revoke`. */
async function moment(name: string, measure: () => Promise<Measured>): Promise<void> {
  if (only !== undefined && !only.includes(name.split(' ')[0] ?? '')) return
  report({ section: name, ...(await measure()) })
}

type Prepare = (scene: Scene, workers: number) => Operation | Promise<Operation>

/** The sections tell of a server that has been at work: by then the engine has compiled what is often called. */
async function warmUp(): Promise<void> {
  if (only !== undefined && !only.some((name) => charted.has(name))) return
  await closedLoop({ workers: 16, seconds: 10 }, governed(scene), server)
}

/** Share of one core that a server with nothing to do takes. */
async function idleCpuShare(): Promise<number> {
  await sleep(2000)
  const before = server.cpuSeconds()
  await sleep(3000)
  return (server.cpuSeconds() - before) / 3
}

/** More mandates than the section can spend; minting is not part of what is measured. */
async function stock(count: number): Promise<string[]> {
  const mandates: string[] = []
  while (mandates.length < count) {
    const batch = scene.actors.flatMap((actor) => [actor, actor, actor, actor])
    mandates.push(...(await Promise.all(batch.map((actor) => mintOnce(scene, actor)))))
  }
  return mandates
}

const floors = {
  signAndVerifyMicros: signAndVerifyMicros(),
  proxyHop: await bareProxyHop(scene.upstreamUrl, 16, seconds),
  bareInsert: await bareInserts(server.dataDir, 16, seconds),
}
const sketched = new Map<number, Sketched>()
if (only === undefined || only.includes('sketch'))
  for (const workers of [1, 16, 64])
    sketched.set(workers, await sketch(scene, server.dataDir, workers, seconds))
await warmUp()
header()
report({ section: 'floor: bare proxy hop', ...floors.proxyHop })
report({ section: 'floor: bare insert', ...floors.bareInsert })
for (const { mint, governed } of sketched.values()) {
  report({ section: 'floor: sketch of a mint', ...mint })
  report({ section: 'floor: sketch of both', ...governed })
}
await section('mint', [1, 4, 8, 16, 64], mint)
const addedBefore = await gatewayAdded(server)
await section('gateway', [1], async (at) => spend(at, await stock(seconds * 1000)))
const gatewayAddedMs = medianAddedMs(addedBefore, await gatewayAdded(server))
await section('gateway', [16], async (at) => spend(at, await stock(seconds * 2000)))
await section('governed', [1, 4, 8, 16, 64], governed)
await halfLoad()
await section('session', [1, 16], startAndTerminate)
await section('delegate', [1, 16], async (at) => delegate(at, await sessionPairs(at)))
await moment('cold', () => coldCalls(server, scene, values.quick ? 15 : 40))
await moment('revoke to refused', () => revocations(server, scene, values.quick ? 30 : 100))
await section('list', [1, 16], (at) => listPages(at, server.adminToken))
await section('invoke', [1, 16], async (at) => enqueueAndComplete(at, await services(at)))
// The last of those that need the scene: it withdraws what the actors have.
await moment('revoke to last byte', () => lastBytesInProcess(server, scene, values.quick ? 20 : 60))
await moment('revoke to last byte, second gateway', () =>
  lastBytesOfTwo(server, scene, values.quick ? 20 : 60),
)

const warmStartMs = only === undefined || only.includes('start') ? await server.restart() : null

const audit =
  only === undefined || only.includes('audit') ? await measureIngest(values.quick ? 20_000 : 100_000) : null

console.log('')
if (audit !== null) reportIngest(audit)
console.log(
  `start to ready ${Math.round(server.startMs)} ms on an empty directory${warmStartMs === null ? '' : `, ${Math.round(warmStartMs)} ms on the one of this run`} · idle ${mb(idleBytes)} and ${(idleCpu * 100).toFixed(1)} % of a core${idlePerSecond === null ? '' : `, ${idlePerSecond.toFixed(1)} transactions a second`} · resident ${mb(server.residentBytes())} after`,
)
if (gatewayAddedMs !== null)
  console.log(
    `the gateway itself adds ${gatewayAddedMs.toFixed(2)} ms to a call at one worker, at the median`,
  )
console.log(`floor: one ES256 signature and verification ${floors.signAndVerifyMicros.toFixed(0)} µs`)
console.log(
  JSON.stringify({
    node: process.version,
    startMs: server.startMs,
    warmStartMs,
    idleBytes,
    idleCpu,
    idlePerSecond,
    floors,
    gatewayAddedMs,
    rows,
    audit,
  }),
)
if (values.chart !== undefined) {
  const rates = rows.filter((row) => charted.has(row.section))
  await writeFile(values.chart, rateChart('Caracal on two virtual cores, load generator included', rates))
}
if (rows.some((row) => Object.keys(row.errors).length > 0)) process.exitCode = 1

function header(): void {
  console.log(
    'section                  workers    per s    p50 ms    p95 ms    p99 ms   CPU ms   its store   of a bare insert   errors',
  )
}

function report(row: Row): void {
  rows.push(row)
  const cells = [row.perSecond.toFixed(0), row.p50.toFixed(2), row.p95.toFixed(2), row.p99.toFixed(2)]
  const errors = Object.entries(row.errors).map(([what, count]) => `${count} × ${what}`)
  console.log(
    [
      row.section.padEnd(25),
      String(row.workers).padStart(6),
      (cells[0] ?? '').padStart(9),
      ...cells.slice(1).map((cell) => cell.padStart(10)),
      row.cpuMs.toFixed(2).padStart(9),
      (row.storeCpuMs?.toFixed(2) ?? '').padStart(12),
      (row.ofBareInsert?.toFixed(3) ?? '').padStart(19),
      `   ${errors.join('; ') || '-'}`,
    ].join(''),
  )
}

function reportIngest(one: IngestMeasured): void {
  const rate = (perSecond: number) => `${perSecond.toFixed(0)}/s`
  const micros = (value: number) => `${value.toFixed(0)} µs`
  const ratio = (one.ingestedPerSecond / one.bareInsertsPerSecond).toFixed(2)
  console.log(
    `audit: one zone takes ${rate(one.ingestedPerSecond)}, ${ratio} of the bare insert (${rate(one.bareInsertsPerSecond)})`,
  )
  console.log(`  CPU for one event: ${micros(one.ingestMicros)} here, ${micros(one.storeMicros)} in Postgres`)
  console.log(
    `  producer: ${micros(one.emitMicros)} in emit, ${micros(one.producerMicros)} of CPU to accepted by the bus, ${rate(one.publishedPerSecond)}`,
  )
  console.log(`  verification: ${rate(one.verifiedPerSecond)}, ${one.findings} findings`)
}

function mb(bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`
}
