/**
 * The driver's pool for single statements, two lines for hot ones, leases (`lease.ts`) behind `begin` and
 * `reserve`, and a count of what is in flight for the metrics.
 */
import type postgres from 'postgres'
import type { LeasePool } from './lease.ts'
import type { OwnSession } from './port.ts'
import { asStatement, onSettled } from './statement.ts'
import { type TransactionWork, transact } from './transaction.ts'

export interface Pool {
  readonly sql: postgres.Sql
  readonly hot: postgres.Sql
  readonly hotWrites: postgres.Sql
  readonly session: () => Promise<OwnSession>
  /** Statements, transactions and reserved connections not settled yet; may exceed the pool's size when work queues. */
  inFlight(): number
  /** One transaction opened by the statement `begin`. */
  readonly transact: <T>(begin: string, work: TransactionWork<T>) => Promise<T>
}

export interface PoolLines {
  readonly hot: postgres.Sql
  readonly hotWrites: postgres.Sql
  readonly statements: postgres.Sql
  /** For transactions and `reserve`. */
  readonly leases: LeasePool
  /** For sessions of their own; unbounded. */
  readonly sessions: LeasePool
}

export function createPool(lines: PoolLines): Pool {
  const { statements: client, leases, sessions } = lines
  let inFlight = 0

  function watch<T>(value: T): T {
    const statement = asStatement(value)
    if (statement === null) return value
    const { handler } = statement
    let running = false
    statement.handler = (self) => {
      running = true
      inFlight += 1
      return handler(self)
    }
    onSettled(statement, () => {
      if (running) inFlight -= 1
    })
    return value
  }

  async function transactCounted<T>(begin: string, work: TransactionWork<T>): Promise<T> {
    inFlight += 1
    try {
      return await transact(leases, begin, work)
    } finally {
      inFlight -= 1
    }
  }

  /** As the driver's: options are words such as `read only`, an array result is awaited element by element. */
  async function begin(...parameters: unknown[]): Promise<unknown> {
    const work = parameters.at(-1) as (transaction: postgres.TransactionSql) => unknown
    const options = parameters.length > 1 ? String(parameters[0]).replaceAll(/[^a-z ]/gi, '') : ''
    const { value } = await transactCounted(`begin ${options}`, async (transaction) => {
      const result = await work(transaction)
      return { value: Array.isArray(result) ? await Promise.all(result) : result }
    })
    return value
  }

  async function reserve(): Promise<postgres.ReservedSql> {
    inFlight += 1
    let counts = true
    const uncount = () => {
      if (counts) inFlight -= 1
      counts = false
    }
    try {
      const lease = await leases.take()
      lease.lost.catch(uncount)
      return Object.assign(lease.sql(), {
        release: () => {
          uncount()
          lease.release()
        },
      }) as unknown as postgres.ReservedSql
    } catch (error) {
      uncount()
      throw error
    }
  }

  async function session(): Promise<OwnSession> {
    const lease = await sessions.take()
    return { sql: lease.sql(), lost: lease.lost, [Symbol.dispose]: () => lease.discard() }
  }

  const watched = (line: postgres.Sql): postgres.Sql =>
    Object.assign(
      ((...parameters: Parameters<postgres.Sql>) => watch(line(...parameters))) as postgres.Sql,
      line,
    )
  const hot = watched(lines.hot)
  const hotWrites = watched(lines.hotWrites)
  const sql = Object.assign(
    ((...parameters: Parameters<postgres.Sql>) => watch(client(...parameters))) as postgres.Sql,
    client,
    {
      begin,
      reserve,
      unsafe: (...parameters: Parameters<postgres.Sql['unsafe']>) => watch(client.unsafe(...parameters)),
      end: async (options: { timeout?: number } = {}) => {
        await Promise.all([
          lines.hot.end(options),
          lines.hotWrites.end(options),
          client.end(options),
          leases.end({ timeout: options.timeout ?? 5 }),
          sessions.end({ timeout: 0 }),
        ])
      },
    },
  )
  return { sql, hot, hotWrites, session, inFlight: () => inFlight, transact: transactCounted }
}
