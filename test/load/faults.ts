/** What breaks: each fault begins, lasts a while, and ends; then everything has to be as before. */
import { setTimeout as sleep } from 'node:timers/promises'
import { clockSkew } from './clock-skew.ts'
import { signalTree } from './process-tree.ts'
import type { Seeded } from './seeded.ts'
import type { ServerProcess } from './server-process.ts'
import type { StoreInHand } from './stores-in-hand.ts'
import type { Deployment } from './topology.ts'

export interface Fault {
  readonly name: string
  /** Connections to our own processes break with it. */
  readonly cuts: boolean
  /** Breaks it for a while; resolves at the moment the cause is gone. */
  strike(): Promise<void>
}

const skewMs = 30_000

/** Every fault once, in an order and with lengths that the seed decides. */
export function everyFault(deployment: Deployment, chance: Seeded): Fault[] {
  const { processes, stores, journals } = deployment
  const faults = [
    ...processes.flatMap((one) => processFaults(one, deployment, chance)),
    ...processes
      .filter(({ workerPids }) => workerPids.length > 0)
      .flatMap((one) => workerFaults(one, chance)),
    // Stores matter to all, so they come as often as the many processes do.
    ...Array.from({ length: processes.length > 1 ? 3 : 1 }).flatMap(() =>
      stores.flatMap((store) => storeFaults(store, chance)),
    ),
    ...journals.map((journal, index) => fullJournal(deployment, journal.path, index, chance)),
    ...stores.filter(({ stop }) => stop !== null).map((store) => journalAndStore(deployment, store, chance)),
  ]
  return chance.shuffled(faults)
}

function processFaults(one: ServerProcess, { directory }: Deployment, chance: Seeded): Fault[] {
  return [
    {
      name: `${one.name} killed`,
      cuts: true,
      async strike() {
        await one.end('SIGKILL')
        await sleep(chance.between(0, 1500))
        one.start()
      },
    },
    {
      name: `${one.name} stands still`,
      cuts: false,
      async strike() {
        process.kill(one.pid, 'SIGSTOP')
        await sleep(chance.between(200, 3000))
        process.kill(one.pid, 'SIGCONT')
      },
    },
    {
      name: `${one.name} restarted with its clock 30 s off`,
      cuts: true,
      async strike() {
        await one.end('SIGTERM')
        one.start(clockSkew(directory, chance.next() < 0.5 ? skewMs : -skewMs))
      },
    },
  ]
}

/** One of several behind the same ports; which one, the seed decides. */
function workerFaults(primary: ServerProcess, chance: Seeded): Fault[] {
  const one = (): number => chance.shuffled(primary.workerPids)[0] ?? 0
  return [
    {
      name: 'a worker killed',
      cuts: true,
      async strike() {
        process.kill(one(), 'SIGKILL')
      },
    },
    {
      name: 'a worker stands still',
      cuts: false,
      async strike() {
        const pid = one()
        process.kill(pid, 'SIGSTOP')
        await sleep(chance.between(200, 3000))
        process.kill(pid, 'SIGCONT')
      },
    },
  ]
}

function storeFaults(store: StoreInHand, chance: Seeded): Fault[] {
  const { name, stop } = store
  const faults: Fault[] = [
    { name: `${name} killed`, cuts: false, strike: () => store.kill() },
    {
      name: `${name} stands still`,
      cuts: false,
      async strike() {
        const pid = store.pid()
        signalTree(pid, 'SIGSTOP')
        await sleep(chance.between(200, 4000))
        signalTree(pid, 'SIGCONT')
      },
    },
  ]
  if (stop !== null)
    faults.push({
      name: `${name} stopped`,
      cuts: false,
      async strike() {
        await stop()
        await sleep(chance.between(0, 5000))
        await store.start()
      },
    })
  return faults
}

/** Nothing needs the journal while the bus takes everything: traffic goes on, readiness says so. */
function fullJournal({ journals }: Deployment, path: string, index: number, chance: Seeded): Fault {
  return {
    name: `journal ${index + 1} full`,
    cuts: false,
    async strike() {
      const journal = journals.find((one) => one.path === path)
      journal?.fill()
      await sleep(chance.between(1000, 3000))
      journal?.free()
    },
  }
}

/** No place for evidence at all: what could not be kept latches, and the process has to be replaced. */
function journalAndStore({ journals, processes }: Deployment, store: StoreInHand, chance: Seeded): Fault {
  return {
    name: `${store.name} stopped and every journal full`,
    cuts: true,
    async strike() {
      for (const journal of journals) journal.fill()
      await store.stop?.()
      await sleep(chance.between(500, 3000))
      await store.start()
      for (const journal of journals) journal.free()
      await Promise.all(processes.map(replaceIfLatched))
    },
  }
}

/** As an orchestrator does with a process that does not become ready again. */
async function replaceIfLatched(one: ServerProcess): Promise<void> {
  for (let tries = 0; tries < 100; tries += 1) {
    const said = await one.ready()
    if (said === 'ready') return
    if (said.includes('audit_evidence_lost')) {
      await one.end('SIGTERM')
      one.start()
      return
    }
    await sleep(100)
  }
}
