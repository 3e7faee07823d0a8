/**
 * `npm run chaos -- --minutes N --seed S --topology all|split|workers`: governed traffic while processes are
 * killed, stores stop or stand still and disks run full, in an order the seed decides. Then the
 * invariants, each a named line; exit 1 when one is broken.
 *
 *   --only   only faults whose name has this word in it, such as killed or redis
 *   --keep   a directory for the logs of every process
 *   --json   the result as JSON, the last line of stdout
 */
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { openBooks } from './books.ts'
import { createDisturbances } from './disturbances.ts'
import { everyFault, type Fault } from './faults.ts'
import { gateWrites } from './gate-writes.ts'
import { invariant, judgeStores } from './invariants.ts'
import { setScene } from './scene.ts'
import { seeded } from './seeded.ts'
import { type Deployment, deploy, type Topology, topologies } from './topology.ts'
import { createTraffic } from './traffic.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '3' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    topology: { type: 'string', default: 'all' },
    only: { type: 'string' },
    json: { type: 'boolean', default: false },
    keep: { type: 'string' },
  },
})
const minutes = Number(values.minutes)
if (!(minutes > 0)) throw new Error('--minutes needs a positive number')
const topology = topologies.find((one) => one === values.topology)
if (topology === undefined) throw new Error(`--topology is one of ${topologies.join(', ')}`)

/** From the end of a fault until everything is ready and a governed call goes through, on a machine with time for us. */
const recoveryLimitMs = 5000
/** Longer than a killed process keeps its rows and entries: `OUTBOX_LOCK_SEC` and the reclaim of streams. */
const drainLimitMs = 90_000

interface Recovery {
  readonly fault: string
  readonly ms: number
  /** The longest that one of our processes waited for a processor meanwhile: what a busy machine adds. */
  readonly queuedMs: number
  readonly waitedFor: string
}

const chance = seeded(Number(values.seed))
console.log(`topology ${topology}, seed ${values.seed}, ${minutes} minutes`)
const ended = await run(topology)
for (const { name, ok, said } of ended.invariants)
  console.log(`${name.padEnd(12)}${ok ? 'pass' : 'FAIL'}  ${said}`)
if (values.json) console.log(JSON.stringify({ seed: values.seed, topology, minutes, ...ended }))
if (ended.invariants.some(({ ok }) => !ok)) process.exitCode = 1

async function run(topology: Topology) {
  await using deployment = await deploy[topology]()
  const kept = values.keep
  await using _logs = {
    async [Symbol.asyncDispose]() {
      if (kept === undefined) return
      for (const { name } of deployment.processes)
        cpSync(join(deployment.directory, `${name}.log`), join(kept, `${name}.log`))
    },
  }
  const arrivals = new Map<string, number>()
  await using scene = await setScene(deployment, 4, (id) => arrivals.set(id, (arrivals.get(id) ?? 0) + 1))
  for (const { identity } of scene.actors) await gateWrites(deployment, identity)
  const disturbances = createDisturbances()
  const books = openBooks(disturbances)
  const traffic = createTraffic(scene, books, deployment.adminToken)
  const endsAt = Date.now() + minutes * 60_000
  const running = (): boolean => Date.now() < endsAt
  const recoveries: Recovery[] = []
  const working = traffic.run(running)
  await sleep(2000)
  while (running()) {
    for (const fault of everyFault(deployment, chance).filter(({ name }) =>
      name.includes(values.only ?? ''),
    )) {
      if (!running()) break
      recoveries.push(await suffer(fault, deployment))
      await traffic.presentDead(5)
      await sleep(chance.between(500, 3000))
    }
  }
  await working
  await traffic.presentDead(50)
  const slow = recoveries.filter(({ ms, queuedMs }) => ms - queuedMs > recoveryLimitMs)
  const deaths = deployment.processes.flatMap((one) => one.deaths)
  const worst = Math.max(0, ...recoveries.map(({ ms }) => ms))
  const worstOwn = Math.max(0, ...recoveries.map(({ ms, queuedMs }) => ms - queuedMs))
  const { counts } = books
  return {
    recoveries,
    counts,
    explained: books.explained,
    unexplained: books.unexplained,
    invariants: [
      invariant(
        'recovery',
        slow.length === 0 && recoveries.length > 0,
        `${recoveries.length} faults, slowest ${worst} ms, ${worstOwn} ms without the wait for a processor; over ${recoveryLimitMs} ms: ${JSON.stringify(slow)}`,
      ),
      invariant(
        'processes',
        deaths.length === 0,
        `${deaths.length} ended by themselves ${deaths.join('; ')}`,
      ),
      invariant(
        'refusals',
        Object.keys(books.unexplained).length === 0,
        `documented ${JSON.stringify(books.explained)}; others ${JSON.stringify(books.unexplained, null, 1)}`,
      ),
      invariant(
        'revocation',
        books.broken.length === 0 && counts.revocations > 0,
        `${JSON.stringify(counts)}; worked and must not: ${JSON.stringify(books.broken)}`,
      ),
      ...(await judgeStores(deployment, { ...books, arrivals }, drainLimitMs)),
    ],
  }

  async function suffer(fault: Fault, { processes }: Deployment) {
    const over = disturbances.begin(fault.name, fault.cuts)
    try {
      await fault.strike()
      const from = performance.now()
      const queuedBefore = queued(processes)
      let waitedFor = ''
      for (;;) {
        const problem = await wrong(processes)
        if (problem === null) break
        waitedFor = problem
        if (performance.now() - from > 60_000) break
        await sleep(100)
      }
      const ms = Math.round(performance.now() - from)
      const waits = [...queued(processes)].map(([pid, ms]) => ms - (queuedBefore.get(pid) ?? 0))
      const queuedMs = Math.round(Math.max(...waits))
      console.log(
        `${fault.name.padEnd(50)} recovered after ${String(ms).padStart(5)} ms, ${String(queuedMs).padStart(5)} of them waiting for a processor  ${waitedFor}`,
      )
      return { fault: fault.name, ms, queuedMs, waitedFor }
    } finally {
      over()
    }
  }

  function queued(processes: Deployment['processes']): Map<number, number> {
    return new Map(processes.flatMap((one) => [...one.queuedMs()]))
  }

  async function wrong(processes: Deployment['processes']): Promise<string | null> {
    const said = await Promise.all(processes.map((one) => one.ready()))
    return said.find((one) => one !== 'ready') ?? (await traffic.probe())
  }
}
