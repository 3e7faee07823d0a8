/**
 * `npm run soak -- --minutes N --topology all|split`: governed traffic with spawns, delegations,
 * revocations and approvals while nothing is broken, then the invariants, each a named line. Exit 1
 * when one is broken.
 *
 *   --json   the result as JSON, the last line of stdout
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import postgres from 'postgres'
import { openBooks } from './books.ts'
import { createDisturbances } from './disturbances.ts'
import { gateWrites } from './gate-writes.ts'
import { invariant, judgeStores } from './invariants.ts'
import { setScene } from './scene.ts'
import { deploy } from './topology.ts'
import { createTraffic } from './traffic.ts'
import { trendOf } from './trend.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    topology: { type: 'string', default: 'all' },
    json: { type: 'boolean', default: false },
  },
})
const minutes = Number(values.minutes)
if (!(minutes > 0)) throw new Error('--minutes needs a positive number')
const { topology } = values
if (topology !== 'all' && topology !== 'split') throw new Error('--topology is all or split')

/** Caches fill and the engine sizes its heap. */
const warmUpShare = 0.3
/** A line through what is still held after collections may rise by this much over the measured time. */
const growthLimitBytes = 16e6
const drainLimitMs = 10_000

const ended = await run(topology)
for (const { name, ok, said } of ended.invariants)
  console.log(`${name.padEnd(12)}${ok ? 'pass' : 'FAIL'}  ${said}`)
if (values.json) console.log(JSON.stringify({ topology, minutes, ...ended }))
if (ended.invariants.some(({ ok }) => !ok)) process.exitCode = 1

async function run(topology: 'all' | 'split') {
  await using deployment = await deploy[topology]({ watchHeap: true })
  const arrivals = new Map<string, number>()
  await using scene = await setScene(deployment, 4, (id) => arrivals.set(id, (arrivals.get(id) ?? 0) + 1))
  for (const { identity } of scene.actors) await gateWrites(deployment, identity)
  const books = openBooks(createDisturbances())
  const traffic = createTraffic(scene, books, deployment.adminToken)
  const { counts, granted } = books
  const { processes } = deployment
  const samples: { readonly at: number; readonly resident: number; readonly connections: number }[] = []

  const startedAt = Date.now()
  const measuredFrom = startedAt + minutes * 60_000 * warmUpShare
  const endsAt = startedAt + minutes * 60_000
  const running = (): boolean => Date.now() < endsAt
  await Promise.all([traffic.run(running), watch()])
  await traffic.presentDead(50)

  const measured = samples.filter(({ at }) => at >= measuredFrom)
  const minutesMeasured = (endsAt - measuredFrom) / 60_000
  const resident = trendOf(measured.map(({ at, resident }) => ({ at: at / 60_000, value: resident })))
  const connections = trendOf(
    measured.map(({ at, connections }) => ({ at: at / 60_000, value: connections })),
  )
  const held = processes.flatMap((one) => {
    const samples = one.liveHeap().filter(({ at }) => at >= measuredFrom)
    return [...new Set(samples.map(({ thread }) => thread))].sort().map((thread) => {
      const floors = lowest(samples.filter((sample) => sample.thread === thread))
      const name = thread === 0 ? one.name : `${one.name}, thread ${thread}`
      return { name, ...trendOf(floors), collections: floors.length }
    })
  })
  const growing = held.filter(({ slope }) => slope * minutesMeasured > growthLimitBytes)
  const deaths = processes.flatMap((one) => one.deaths)
  return {
    counts,
    samples,
    held,
    invariants: [
      invariant(
        'refusals',
        Object.keys(books.unexplained).length === 0,
        `unexpected ${JSON.stringify(books.unexplained, null, 1)}`,
      ),
      invariant(
        'revocation',
        books.broken.length === 0 && counts.revocations > 0,
        `${JSON.stringify(counts)}; worked and must not: ${JSON.stringify(books.broken)}`,
      ),
      invariant(
        'processes',
        deaths.length === 0,
        `${deaths.length} ended by themselves ${deaths.join('; ')}`,
      ),
      invariant(
        'memory',
        growing.length === 0,
        `resident ${mb(resident.mean)}, ${signed(resident.slope)} a minute; held after collections ${held
          .map(
            ({ name, mean, slope, collections }) =>
              `${name} ${mb(mean)}, ${signed(slope)} a minute (${collections})`,
          )
          .join('; ')}`,
      ),
      invariant(
        'connections',
        connections.slope * minutesMeasured <= 3,
        `to Postgres ${connections.mean.toFixed(1)}, ${connections.slope.toFixed(2)} a minute`,
      ),
      ...(await judgeStores(deployment, { ...books, arrivals }, drainLimitMs)),
    ],
  }

  async function watch(): Promise<void> {
    const everyMs = Math.min(5000, (minutes * 60_000) / 24)
    const sql = postgres(deployment.database())
    try {
      while (running()) {
        await sleep(Math.max(1, Math.min(everyMs, endsAt - Date.now())))
        const [row] = await sql<{ n: number }[]>`select count(*)::int as n from pg_stat_activity`
        const residentBytes = processes.reduce((sum, one) => sum + one.residentBytes(), 0)
        samples.push({ at: Date.now(), resident: residentBytes, connections: row?.n ?? 0 })
        const seconds = Math.round((Date.now() - startedAt) / 1000)
        console.error(
          `${seconds} s  ${granted.length} granted  ${counts.revocations} revoked  ${mb(residentBytes)}`,
        )
      }
    } finally {
      await sql.end({ timeout: 1 })
    }
  }
}

/** What a heap came down to in each tenth of the time; a collection amid a burst leaves the burst. */
function lowest(samples: readonly { readonly at: number; readonly bytes: number }[]) {
  const from = samples[0]?.at ?? 0
  const span = Math.max(1, (samples.at(-1)?.at ?? 0) - from)
  const floors = new Map<number, { at: number; value: number }>()
  for (const { at, bytes } of samples) {
    const part = Math.min(9, Math.floor(((at - from) / span) * 10))
    const known = floors.get(part)
    if (known === undefined || bytes < known.value) floors.set(part, { at: at / 60_000, value: bytes })
  }
  return [...floors.values()]
}

function mb(bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`
}

function signed(bytes: number): string {
  return `${bytes < 0 ? '' : '+'}${(bytes / 1e6).toFixed(2)} MB`
}
