/** What the machine gives to the least that a mint and a governed call can be, in the same run: a floor for both. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { closedLoop, type Measured } from './closed-loop.ts'
import { loginOf, storePid } from './embedded-store.ts'
import { governed, mint } from './operations.ts'
import { cpuSecondsOf, cpuSecondsOfFamily } from './process-cpu.ts'
import type { Scene } from './scene.ts'
import { wirePool } from './wire.ts'

export interface Sketched {
  readonly mint: Measured
  readonly governed: Measured
}

/** The sketch under `workers` each, on the Postgres of the server, which meanwhile has nothing to do. */
export async function sketch(
  scene: Scene,
  dataDir: string,
  workers: number,
  seconds: number,
): Promise<Sketched> {
  const { max: _, ...login } = loginOf(dataDir)
  const program = fileURLToPath(new URL('./sketch-server.js', import.meta.url))
  const child = fork(program, { env: { SKETCH: JSON.stringify({ login, upstreamUrl: scene.upstreamUrl }) } })
  const ended = once(child, 'exit')
  try {
    const [{ port }] = (await Promise.race([once(child, 'message'), refusedBy(ended)])) as [{ port: number }]
    using wire = wirePool(`http://127.0.0.1:${port}`)
    const at = { ...scene, wires: { sts: wire, gateway: wire } }
    const store = storePid(dataDir)
    const burdened = {
      cpuSeconds: () => cpuSecondsOf(child.pid ?? 0),
      storeCpuSeconds: () => cpuSecondsOfFamily(store),
      rest: async () => undefined,
    }
    return {
      mint: await closedLoop({ workers, seconds }, mint(at), burdened),
      governed: await closedLoop({ workers, seconds }, governed(at), burdened),
    }
  } finally {
    child.kill('SIGTERM')
    await ended
  }
}

async function refusedBy(ended: Promise<unknown[]>): Promise<never> {
  throw new Error(`the sketch ended with ${String((await ended)[0])}`)
}
