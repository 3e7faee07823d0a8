/**
 * Counts the statements and transactions in flight. The driver shows no pool statistics; each
 * statement object is watched from the moment it is handed to a connection until it settles.
 */
import type postgres from 'postgres'

interface Watched {
  handler?: (query: unknown) => unknown
  resolve: (value: unknown) => void
  reject: (reason: unknown) => void
}

export interface PoolUsage {
  readonly sql: postgres.Sql
  /** Statements and transactions not settled yet; may exceed the pool's size when work queues. */
  inFlight(): number
}

export function watchUsage(client: postgres.Sql): PoolUsage {
  let inFlight = 0

  function watch<T>(statement: T): T {
    const watched = statement as unknown as Watched
    // Identifiers and value lists come through here too; they are never handed to a connection.
    const { handler, resolve, reject } = watched
    if (typeof handler !== 'function' || typeof resolve !== 'function') return statement
    watched.handler = (query) => {
      inFlight += 1
      return handler(query)
    }
    let settled = false
    const settle = () => {
      if (!settled && inFlight > 0) inFlight -= 1
      settled = true
    }
    watched.resolve = (value) => {
      settle()
      resolve(value)
    }
    watched.reject = (reason) => {
      settle()
      reject(reason)
    }
    return statement
  }

  const tagged = ((...parameters: Parameters<postgres.Sql>) => watch(client(...parameters))) as postgres.Sql
  const begin = async (...parameters: unknown[]) => {
    inFlight += 1
    try {
      return await (client.begin as (...all: unknown[]) => Promise<unknown>)(...parameters)
    } finally {
      inFlight -= 1
    }
  }
  const reserve = async () => {
    inFlight += 1
    try {
      const reserved = await client.reserve()
      const release = reserved.release.bind(reserved)
      let released = false
      reserved.release = () => {
        if (!released) inFlight -= 1
        released = true
        return release()
      }
      return reserved
    } catch (error) {
      inFlight -= 1
      throw error
    }
  }
  const sql = Object.assign(tagged, client, {
    begin,
    reserve,
    unsafe: (...parameters: Parameters<postgres.Sql['unsafe']>) => watch(client.unsafe(...parameters)),
  })
  return { sql, inFlight: () => inFlight }
}
