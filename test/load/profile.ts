/**
 * `--only profile`: where the server's process spends its time and memory under governed calls at 16 workers,
 * told by its own engine. Sampling costs something itself, so no rate is taken here.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { closedLoop } from './closed-loop.ts'
import { governed } from './operations.ts'
import { setScene } from './scene.ts'
import { startServerUnderLoad } from './server.ts'

/** Runs inside the server: each SIGUSR2 begins a profile or ends it, of CPU time first and of allocations then. */
const source = `
import { writeFileSync } from 'node:fs'
import { Session } from 'node:inspector/promises'
import { monitorEventLoopDelay } from 'node:perf_hooks'
const session = new Session()
session.connect()
const write = (what, content) => writeFileSync(process.env.PROFILE_DIRECTORY + '/' + what, JSON.stringify(content))
const delay = monitorEventLoopDelay({ resolution: 1 })
const steps = [
  async () => {
    await session.post('Profiler.enable')
    await session.post('Profiler.setSamplingInterval', { interval: 500 })
    delay.enable()
    await session.post('Profiler.start')
    write('1', true)
  },
  async () => {
    const { profile } = await session.post('Profiler.stop')
    write('cpu', profile)
    write('delay', { p50: delay.percentile(50) / 1e6, p99: delay.percentile(99) / 1e6, max: delay.max / 1e6 })
    write('2', true)
  },
  async () => {
    await session.post('HeapProfiler.startSampling', {
      samplingInterval: 16384,
      includeObjectsCollectedByMajorGC: true,
      includeObjectsCollectedByMinorGC: true,
    })
    write('3', true)
  },
  async () => {
    const { profile } = await session.post('HeapProfiler.stopSampling')
    write('heap', profile)
    write('4', true)
  },
]
process.on('SIGUSR2', () => void steps.shift()?.())
`

interface Frame {
  readonly functionName: string
  readonly url: string
  readonly lineNumber: number
}

interface CpuProfile {
  readonly nodes: readonly { readonly id: number; readonly callFrame: Frame }[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

interface HeapNode {
  readonly callFrame: Frame
  readonly selfSize: number
  readonly children: readonly HeapNode[]
}

/** Prints the first ten of each, as Markdown. */
export async function runProfile(seconds: number): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'caracal-profile-'))
  const hook = join(directory, 'hook.mjs')
  writeFileSync(hook, source)
  try {
    await using server = await startServerUnderLoad({
      NODE_OPTIONS: `--import ${hook}`,
      PROFILE_DIRECTORY: directory,
    })
    await using scene = await setScene(server, 16)
    const load = () => closedLoop({ workers: 16, seconds }, governed(scene), server)
    await load()
    const step = async (n: number) => {
      server.signal('SIGUSR2')
      await written(join(directory, String(n)))
    }
    await step(1)
    const { count } = await load()
    await step(2)
    await step(3)
    await load()
    await step(4)
    const read = <T>(name: string) => JSON.parse(readFileSync(join(directory, name), 'utf8')) as T
    printTable('CPU time', cpuShares(read<CpuProfile>('cpu')))
    printTable('Allocations', heapShares(read<{ head: HeapNode }>('heap').head))
    const delay = read<{ p50: number; p99: number; max: number }>('delay')
    console.log(
      `${count} calls · event loop late by p50 ${delay.p50.toFixed(1)}, p99 ${delay.p99.toFixed(1)}, at most ${delay.max.toFixed(0)} ms`,
    )
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

async function written(file: string): Promise<void> {
  for (let look = 0; look < 300; look += 1) {
    try {
      readFileSync(file)
      return
    } catch {
      await sleep(100)
    }
  }
  throw new Error('the server did not answer the signal')
}

/** Of the time that was not idle. */
function cpuShares({ nodes, samples, timeDeltas }: CpuProfile): Map<string, number> {
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]))
  const shares = new Map<string, number>()
  for (const [at, id] of samples.entries()) {
    const frame = frames.get(id)
    if (frame === undefined || frame.functionName === '(idle)') continue
    // The profiler's own.
    if (frame.functionName === 'dispatch' && frame.url === '') continue
    const where = nameOf(frame)
    shares.set(where, (shares.get(where) ?? 0) + (timeDeltas[at] ?? 0))
  }
  return shares
}

function heapShares(head: HeapNode): Map<string, number> {
  const shares = new Map<string, number>()
  const visit = (node: HeapNode): void => {
    const where = nameOf(node.callFrame)
    shares.set(where, (shares.get(where) ?? 0) + node.selfSize)
    node.children.forEach(visit)
  }
  visit(head)
  return shares
}

/** A function with its file, from the package or the source folder on. */
function nameOf({ functionName, url, lineNumber }: Frame): string {
  const file = /(?:node_modules\/|dist\/)(?!.*(?:node_modules|dist)\/)(.*)$/.exec(url)?.[1] ?? url
  const name = functionName === '' ? '(anonymous)' : functionName
  return file === '' ? name : `${name} ${file}:${lineNumber + 1}`
}

function printTable(what: string, shares: ReadonlyMap<string, number>): void {
  const total = [...shares.values()].reduce((sum, share) => sum + share, 0)
  console.log(`| ${what} | Share |\n| --- | ---: |`)
  const top = [...shares].sort(([, a], [, b]) => b - a).slice(0, 10)
  for (const [where, share] of top) console.log(`| ${where} | ${((share * 100) / total).toFixed(1)} % |`)
  console.log('')
}
