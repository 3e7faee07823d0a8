import type { NetConnectOpts } from 'node:net'
import pino from 'pino'
import { createPostgresBus, type PostgresBus } from '../../../src/platform/bus/postgres.ts'
import type { ConnectionTarget } from '../../../src/platform/db/connection.ts'
import type { Database } from '../../../src/platform/db/port.ts'
import { createTestDatabase } from '../../fixtures/database.ts'
import { jobContext } from '../../fixtures/job-context.ts'
import type { BusStore } from './contract.ts'
import { type CuttableProxy, createCuttableProxy } from './cuttable-proxy.ts'

export const silent = pino({ level: 'silent' })

/** Where a Postgres listens, for the proxy in front of it. */
function addressOf(target: ConnectionTarget): NetConnectOpts {
  if (typeof target === 'string') {
    const url = new URL(target)
    return { host: url.hostname, port: Number(url.port || 5432) }
  }
  return target.host.startsWith('/')
    ? { path: `${target.host}/.s.PGSQL.${target.port}` }
    : { host: target.host, port: target.port }
}

function throughProxy(target: ConnectionTarget, proxy: CuttableProxy): ConnectionTarget {
  if (typeof target === 'string') {
    const url = new URL(target)
    url.hostname = '127.0.0.1'
    url.port = String(proxy.port)
    return url.href
  }
  // Some targets also name the socket itself, which the driver would prefer.
  const { path: _path, ...rest } = target as typeof target & { path?: string }
  return { ...rest, host: '127.0.0.1', port: proxy.port }
}

export interface PostgresStore extends BusStore {
  readonly admin: Awaited<ReturnType<typeof createTestDatabase>>['admin']
  openDatabase(): Promise<Database>
}

/** A test database behind a proxy; every opened bus has its own pool. */
export async function createPostgresStore(): Promise<PostgresStore> {
  const database = await createTestDatabase()
  const proxy = await createCuttableProxy(addressOf(database.connection))
  const connection = throughProxy(database.connection, proxy)
  const buses = new Set<PostgresBus>()
  const open = () => database.open({ connection })
  return {
    admin: database.admin,
    openDatabase: open,
    async open() {
      const db = await open()
      const bus = createPostgresBus({ db, log: silent, pollMs: 200 })
      buses.add(bus)
      return {
        ...bus,
        async [Symbol.asyncDispose]() {
          buses.delete(bus)
          await bus[Symbol.asyncDispose]()
          await db[Symbol.asyncDispose]()
        },
      }
    },
    drop: proxy.drop,
    cut: proxy.cut,
    restore: proxy.restore,
    async maintain() {
      for (const bus of buses) for (const job of bus.jobs) await job.run(jobContext())
    },
    async wipe() {
      await database.admin`truncate bus_event, bus_cursor, bus_delivery`
    },
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]()
      await database[Symbol.asyncDispose]()
    },
  }
}
