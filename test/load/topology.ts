/** What chaos is made of: every process of a deployment, its stores, and how to look at it from outside. */
import { randomBytes } from 'node:crypto'
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type postgres from 'postgres'
import { generatedSecrets } from '../../src/config/secrets.ts'
import { freePorts } from '../../src/server/free-ports.ts'
import { type Balancer, openBalancer } from './balancer.ts'
import { loginOf, storePid } from './embedded-store.ts'
import { createFillableDirectory, type FillableDirectory } from './full-disk.ts'
import { createLiveHeap } from './live-heap.ts'
import { runCaracal } from './run-caracal.ts'
import type { Addresses } from './scene.ts'
import { createServerProcess, type ServerProcess, untilReady } from './server-process.ts'
import { openPostgres, openRedis, type StoreInHand } from './stores-in-hand.ts'

export const topologies = ['all', 'split', 'workers'] as const
export type Topology = (typeof topologies)[number]

export interface Deployment extends Addresses, AsyncDisposable {
  readonly topology: Topology
  readonly directory: string
  readonly processes: readonly ServerProcess[]
  readonly stores: readonly StoreInHand[]
  /** One for each process that keeps a journal. */
  readonly journals: readonly FillableDirectory[]
  readonly redisUrl: string | null
  /** How to log in to Postgres now. */
  database(): postgres.Options<Record<string, postgres.PostgresType>>
  /** Environment of a `caracal` command on this deployment. */
  readonly commandEnv: Readonly<Record<string, string>>
}

const roles = ['control', 'coordinator', 'sts', 'gateway', 'audit'] as const
type Role = (typeof roles)[number]

/** Limits that would only measure themselves here. */
const raisedLimits = {
  LOG_LEVEL: 'info',
  STS_MINT_RATE_LIMIT_PER_MIN: '100000000',
  COORDINATOR_RATE_LIMIT_PER_MIN: '0',
  INVOCATION_RATE_LIMIT_PER_MIN: '0',
  API_V1_RATE_LIMIT_PER_MIN: '0',
  READY_RATE_LIMIT_PER_MIN: '0',
  MAX_AGENTS_PER_ZONE: '100000',
  MAX_AGENTS_PER_APP: '100000',
}

export interface DeployOptions {
  /** Every process tells what its heap holds after full collections. */
  readonly watchHeap?: boolean
}

interface SplitOptions extends DeployOptions {
  /** Of each role; default 2. */
  readonly replicas?: number
  /** `false`: Postgres carries the events too. Default true. */
  readonly redis?: boolean
  /** For every process. */
  readonly env?: Readonly<Record<string, string>>
}

export const deploy = {
  all: (options: DeployOptions = {}) => cleanly((undo, directory) => deployAll(undo, directory, options)),
  split: (options: SplitOptions = {}) => cleanly((undo, directory) => deploySplit(undo, directory, options)),
  workers: () => cleanly(deployWorkers),
}

type Undo = () => unknown

/** What was opened is closed in reverse, also when a later step fails. */
async function cleanly(
  open: (
    undo: (step: Undo) => void,
    directory: string,
  ) => Promise<Omit<Deployment, typeof Symbol.asyncDispose>>,
): Promise<Deployment> {
  const steps: Undo[] = []
  const directory = workDirectory()
  const close = async (): Promise<void> => {
    for (const step of steps.splice(0).reverse()) await step()
    rmSync(directory, { recursive: true, force: true })
  }
  try {
    return Object.assign(await open((step) => steps.push(step), directory), { [Symbol.asyncDispose]: close })
  } catch (error) {
    await close()
    throw error
  }
}

/** One process with every role on the embedded store. */
async function deployAll(undo: (step: Undo) => void, directory: string, { watchHeap }: DeployOptions) {
  const dataDir = join(directory, 'data')
  const ports = await freePorts(roles.length + 1)
  const urls = urlsOf((_, index) => `http://127.0.0.1:${ports[index]}`)
  const journal = createFillableDirectory(join(directory, 'journal'))
  undo(() => journal[Symbol.dispose]())
  const env = {
    ...raisedLimits,
    ...portsOf(ports),
    CONSOLE_PORT: String(ports.at(-1)),
    CARACAL_DATA_DIR: dataDir,
    AUDIT_REPLAY_DIR: journal.path,
  }
  const server = createServerProcess({
    name: 'all',
    args: [],
    urls: Object.values(urls),
    cwd: directory,
    env,
    logFile: join(directory, 'all.log'),
    liveHeap: watchHeap ? createLiveHeap(directory, 'all') : undefined,
  })
  server.start()
  undo(() => server.end('SIGTERM'))
  await untilReady(server)
  const adminTokenFile = join(dataDir, 'secrets', generatedSecrets.CARACAL_ADMIN_TOKEN.file)
  const topology = 'all' as const
  return {
    topology,
    directory,
    urls,
    adminToken: readFileSync(adminTokenFile, 'utf8').trim(),
    processes: [server],
    stores: [
      {
        name: 'postgres' as const,
        pid: () => storePid(dataDir),
        stop: null,
        start: async () => undefined,
        kill: async () => {
          process.kill(storePid(dataDir), 'SIGKILL')
        },
      },
    ],
    journals: [journal],
    redisUrl: null,
    database: () => loginOf(dataDir),
    commandEnv: { CARACAL_DATA_DIR: dataDir },
  }
}

/** Each role so many times behind a balancer of its own, on a Postgres and a Redis that belong to nobody. */
async function deploySplit(
  undo: (step: Undo) => void,
  directory: string,
  { replicas = 2, env: more = {}, redis: withRedis = true, watchHeap }: SplitOptions,
) {
  const [postgresPort = 0, redisPort = 0, ...ports] = await freePorts(2 + replicas * roles.length)
  const store = await openPostgres(join(directory, 'postgres'), postgresPort)
  undo(() => store.inHand.stop?.())
  const redis = withRedis ? await openRedis(undo, join(directory, 'redis'), redisPort) : null
  const portOf = (role: Role, replica: number): number => ports[roles.indexOf(role) * replicas + replica] ?? 0
  const balancers = new Map<Role, Balancer>()
  for (const role of roles) {
    const balancer = await openBalancer(
      Array.from({ length: replicas }, (_, replica) => portOf(role, replica)),
    )
    undo(() => balancer[Symbol.asyncDispose]())
    balancers.set(role, balancer)
  }
  const urls = urlsOf((role) => balancers.get(role)?.url ?? '')
  const adminToken = secret()
  const env = {
    ...environmentOn(store.url, redis?.url ?? null, urls, adminToken),
    ...more,
  }
  const migrated = await runCaracal(['migrate'], env)
  if (migrated.code !== 0) throw new Error(`caracal migrate: ${migrated.stderr}`)
  const journals: FillableDirectory[] = []
  const processes: ServerProcess[] = []
  for (const role of roles) {
    for (let replica = 0; replica < replicas; replica += 1) {
      const name = `${role}-${replica + 1}`
      const keeps = role === 'sts' || role === 'gateway'
      if (keeps) {
        const journal = createFillableDirectory(join(directory, `journal-${name}`))
        undo(() => journal[Symbol.dispose]())
        journals.push(journal)
      }
      const port = portOf(role, replica)
      const server = createServerProcess({
        name,
        args: [`--role=${role}`],
        urls: [`http://127.0.0.1:${port}`],
        cwd: directory,
        env: {
          ...env,
          PORT: String(port),
          CONSOLE_PORT: '0',
          ...(keeps ? { AUDIT_REPLAY_DIR: join(directory, `journal-${name}`) } : {}),
        },
        logFile: join(directory, `${name}.log`),
        liveHeap: watchHeap ? createLiveHeap(directory, name) : undefined,
      })
      server.start()
      processes.push(server)
      undo(() => server.end('SIGTERM'))
    }
  }
  for (const server of processes) await untilReady(server)
  const topology = 'split' as const
  return {
    topology,
    directory,
    urls,
    adminToken,
    processes,
    stores: [store.inHand, ...(redis === null ? [] : [redis.inHand])],
    journals,
    redisUrl: redis?.url ?? null,
    database: () => ({ ...store.login, max: 1 }),
    commandEnv: env,
  }
}

/** One server in two processes that share its ports, on a Postgres and a Redis that belong to nobody. */
async function deployWorkers(undo: (step: Undo) => void, directory: string) {
  const [postgresPort = 0, redisPort = 0, ...ports] = await freePorts(2 + roles.length)
  const store = await openPostgres(join(directory, 'postgres'), postgresPort)
  undo(() => store.inHand.stop?.())
  const redis = await openRedis(undo, join(directory, 'redis'), redisPort)
  const urls = urlsOf((_, index) => `http://127.0.0.1:${ports[index]}`)
  const journal = createFillableDirectory(join(directory, 'journal'))
  undo(() => journal[Symbol.dispose]())
  const adminToken = secret()
  const env = {
    ...environmentOn(store.url, redis.url, urls, adminToken),
    ...portsOf(ports),
    CONSOLE_PORT: '0',
    AUDIT_REPLAY_DIR: journal.path,
  }
  const migrated = await runCaracal(['migrate'], env)
  if (migrated.code !== 0) throw new Error(`caracal migrate: ${migrated.stderr}`)
  const server = createServerProcess({
    name: 'primary',
    args: ['--workers=2'],
    workers: 2,
    urls: Object.values(urls),
    cwd: directory,
    env,
    logFile: join(directory, 'primary.log'),
  })
  server.start()
  undo(() => server.end('SIGTERM'))
  await untilReady(server)
  return {
    topology: 'workers' as const,
    directory,
    urls,
    adminToken,
    processes: [server],
    stores: [store.inHand, redis.inHand],
    journals: [journal],
    redisUrl: redis.url,
    database: () => ({ ...store.login, max: 1 }),
    commandEnv: env,
  }
}

const secret = (): string => randomBytes(32).toString('hex')

/** Of every process on stores that are configured. */
const environmentOn = (
  databaseUrl: string,
  redisUrl: string | null,
  urls: Deployment['urls'],
  adminToken: string,
) => ({
  ...raisedLimits,
  CARACAL_MODE: 'stable',
  CARACAL_DB_ALLOW_BYPASSRLS: 'true',
  HOST: '127.0.0.1',
  DATABASE_URL: databaseUrl,
  ...(redisUrl === null ? {} : { REDIS_URL: redisUrl }),
  SECRET_STORE_KEK: secret(),
  AUDIT_HMAC_KEY: secret(),
  STREAMS_HMAC_KEY: secret(),
  GATEWAY_STS_HMAC_KEY: secret(),
  IDEMPOTENCY_HMAC_KEY: secret(),
  CARACAL_ADMIN_TOKEN: adminToken,
  AGENT_COORDINATOR_SCOPE: 'agent:lifecycle',
  ISSUER_URL: urls.sts,
  STS_URL: urls.sts,
  CARACAL_GATEWAY_URL: urls.gateway,
  CARACAL_COORDINATOR_URL: urls.coordinator,
})

const portsOf = (ports: readonly number[]): Record<string, string> =>
  Object.fromEntries(roles.map((role, index) => [`${role.toUpperCase()}_PORT`, String(ports[index])]))

function urlsOf(url: (role: Role, index: number) => string): Deployment['urls'] {
  return Object.fromEntries(roles.map((role, index) => [role, url(role, index)])) as Deployment['urls']
}

/** The account of the stores must be able to pass through it. */
function workDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'caracal-chaos-'))
  chmodSync(directory, 0o711)
  return directory
}
