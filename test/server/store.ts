/** A Postgres of its own, reachable over TCP as a configured one is. */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import postgres from 'postgres'
import type { EmbeddedPostgres } from '../../src/platform/embedded/port.ts'
import { startEmbeddedPostgres } from '../../src/platform/embedded/start.ts'
import { freePorts } from '../../src/server/free-ports.ts'
import { workingDirectory } from '../cli/process.ts'
import { testKeys } from '../fixtures/settings.ts'

const silent = { debug() {}, info() {}, warn() {}, error() {} }

export interface ExternalPostgres extends AsyncDisposable {
  /** The administrator's URL of a fresh, empty database. */
  emptyDatabase(): Promise<string>
  /** A statement of the administrator, on the server's own database. */
  run<T>(url: string, work: (sql: postgres.Sql) => Promise<T>): Promise<T>
  readonly server: EmbeddedPostgres
}

export async function externalPostgres(): Promise<ExternalPostgres> {
  const [port] = await freePorts(1)
  const server = await startEmbeddedPostgres({
    dataDir: join(workingDirectory(), 'data'),
    log: silent,
    port: port ?? 0,
    settings: { listen_addresses: '127.0.0.1', fsync: 'off', max_connections: '200' },
  })
  const { user, password } = server.connection
  const urlOf = (name: string) => `postgres://${user}:${password}@127.0.0.1:${port}/${name}`
  const run: ExternalPostgres['run'] = async (url, work) => {
    const sql = postgres(url, { max: 1, onnotice: () => {} })
    try {
      return await work(sql)
    } finally {
      await sql.end({ timeout: 1 })
    }
  }
  return {
    server,
    run,
    async emptyDatabase() {
      const name = `caracal_${randomBytes(6).toString('hex')}`
      await run(urlOf('postgres'), (sql) => sql.unsafe(`create database ${name}`))
      return urlOf(name)
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

export interface Ports {
  readonly sts: number
  readonly control: number
  readonly console: number
  readonly coordinator: number
  readonly audit: number
  readonly gateway: number
}

/** Free ports for every listener, and the variables that say so. */
export async function allPorts(): Promise<{ readonly ports: Ports; readonly env: Record<string, string> }> {
  const [sts = 0, control = 0, console = 0, coordinator = 0, audit = 0, gateway = 0] = await freePorts(6)
  return {
    ports: { sts, control, console, coordinator, audit, gateway },
    env: {
      STS_PORT: String(sts),
      CONTROL_PORT: String(control),
      CONSOLE_PORT: String(console),
      COORDINATOR_PORT: String(coordinator),
      AUDIT_PORT: String(audit),
      GATEWAY_PORT: String(gateway),
    },
  }
}

/** What stable mode asks for besides a database. */
export const stableEnv: Readonly<Record<string, string>> = {
  ...testKeys,
  CARACAL_MODE: 'stable',
  CARACAL_DB_ALLOW_BYPASSRLS: 'true',
  HOST: '127.0.0.1',
  ISSUER_URL: 'http://sts.test',
  AGENT_COORDINATOR_SCOPE: 'agent:lifecycle',
}

/** Status of a GET, or the code of the failure. */
export async function get(
  url: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: string }> {
  const response = await fetch(url, { headers, redirect: 'manual' })
  return { status: response.status, body: await response.text() }
}
