/** The server under load: the built binary in a process of its own, on free ports and a data directory of its own. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { storePid } from './embedded-store.ts'
import { cpuSecondsOf, cpuSecondsOfFamily } from './process-cpu.ts'
import { main, residentBytesOf } from './server-process.ts'

export interface ServerUnderLoad extends AsyncDisposable {
  readonly urls: Readonly<Record<'control' | 'coordinator' | 'sts' | 'gateway' | 'audit', string>>
  readonly adminToken: string
  readonly dataDir: string
  /** Milliseconds from spawn to ready. */
  readonly startMs: number
  cpuSeconds(): number
  /** The same of the Postgres it started. */
  storeCpuSeconds(): number
  /** Resolves once the server does no more than an idle one, after ten seconds at the latest. */
  rest(): Promise<void>
  residentBytes(): number
  signal(signal: NodeJS.Signals): void
  /** Ends it and starts it again on the same data; answers milliseconds from spawn to ready. */
  restart(): Promise<number>
}

const roles = ['control', 'coordinator', 'sts', 'gateway', 'audit'] as const

export async function startServerUnderLoad(
  extra: Readonly<Record<string, string>> = {},
): Promise<ServerUnderLoad> {
  const dataDir = await mkdtemp(join(tmpdir(), 'caracal-load-'))
  const ports = await freePorts(roles.length + 1)
  const portOf = Object.fromEntries(roles.map((role, index) => [role, ports[index] ?? 0]))
  const urls = Object.fromEntries(
    roles.map((role) => [role, `http://127.0.0.1:${portOf[role]}`]),
  ) as ServerUnderLoad['urls']
  const env = {
    PATH: process.env.PATH,
    CARACAL_DATA_DIR: dataDir,
    LOG_LEVEL: 'error',
    CONSOLE_PORT: String(ports.at(-1)),
    ...Object.fromEntries(roles.map((role) => [`${role.toUpperCase()}_PORT`, String(portOf[role])])),
    STS_MINT_RATE_LIMIT_PER_MIN: '100000000',
    COORDINATOR_RATE_LIMIT_PER_MIN: '0',
    INVOCATION_RATE_LIMIT_PER_MIN: '0',
    API_V1_RATE_LIMIT_PER_MIN: '0',
    MAX_AGENTS_PER_ZONE: '100000',
    MAX_AGENTS_PER_APP: '100000',
    ...extra,
  }
  const start = async (): Promise<{ child: ChildProcess; ms: number }> => {
    const started = performance.now()
    const child = spawn(process.execPath, [main, 'serve'], { env, stdio: ['ignore', 'inherit', 'inherit'] })
    await ready(child, Object.values(urls))
    return { child, ms: performance.now() - started }
  }
  const end = async (child: ChildProcess): Promise<void> => {
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGTERM')
    await ended
  }
  const first = await start()
  let { child } = first
  const tokenFile = join(dataDir, 'secrets', 'caracalAdminToken')
  return {
    urls,
    startMs: first.ms,
    dataDir,
    adminToken: (await readFile(tokenFile, 'utf8')).trim(),
    cpuSeconds: () => cpuSecondsOf(child.pid ?? 0),
    storeCpuSeconds: () => cpuSecondsOfFamily(storePid(dataDir)),
    async rest() {
      for (let look = 0; look < 50; look += 1) {
        const before = cpuSecondsOf(child.pid ?? 0)
        await sleep(200)
        if (cpuSecondsOf(child.pid ?? 0) - before <= 0.01) return
      }
    },
    signal: (signal) => void child.kill(signal),
    residentBytes: () => residentBytesOf(child.pid ?? 0),
    async restart() {
      await end(child)
      const again = await start()
      child = again.child
      return again.ms
    },
    async [Symbol.asyncDispose]() {
      await end(child)
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}

async function ready(child: ChildProcess, urls: readonly string[]): Promise<void> {
  const deadline = Date.now() + 30_000
  while (Date.now() < deadline) {
    if (child.exitCode !== null) throw new Error(`the server ended with ${child.exitCode}`)
    const answers = await Promise.allSettled(urls.map((url) => fetch(`${url}/ready`)))
    if (answers.every((answer) => answer.status === 'fulfilled' && answer.value.ok)) return
    await sleep(25)
  }
  throw new Error('the server was not ready within 30 s')
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer())
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve) =>
          server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port)),
        ),
    ),
  )
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}
