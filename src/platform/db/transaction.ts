/** One transaction with its savepoints, its zone, its retries and its after-commit callbacks (storage-and-operations §2, §4). */
import { setTimeout as sleep } from 'node:timers/promises'
import type postgres from 'postgres'
import type { Lease, LeasePool } from './lease.ts'
import { ormOver } from './orm.ts'
import type { TransactionOptions, Tx } from './port.ts'
import { isAborted, isSerializationFailure } from './unavailable.ts'

const MAX_RETRIES = 3

export type TransactionWork<T> = (transaction: postgres.TransactionSql) => T | Promise<T>

/**
 * Runs `work` and commits. It may run up to four times, so it must do nothing outside the
 * transaction except through `onCommit`. A failing callback is reported, never thrown: the
 * commit already happened.
 */
export async function runTransaction<T>(
  transactOn: <R>(begin: string, body: TransactionWork<R>) => Promise<R>,
  work: (tx: Tx) => Promise<T>,
  options: TransactionOptions,
  onCallbackError: (error: unknown) => void,
): Promise<T> {
  for (let attempt = 0; ; attempt += 1) {
    const callbacks: (() => void)[] = []
    try {
      const value = await transactOn(beginning(options), async (transaction) => {
        if (options.zone !== undefined && !isPlain(options.zone)) {
          await transaction`select set_config('caracal.zone_id', ${options.zone}, true)`
        }
        return await work({
          sql: transaction,
          orm: ormOver(transaction),
          send: (write) => {
            // Its failure is the scope's, which watches every statement.
            write.execute().catch(() => undefined)
          },
          onCommit: (callback) => {
            callbacks.push(callback)
          },
        })
      })
      for (const callback of callbacks) {
        try {
          callback()
        } catch (error) {
          onCallbackError(error)
        }
      }
      return value
    } catch (error) {
      if (attempt >= MAX_RETRIES || !isSerializationFailure(error)) throw error
      await sleep(10 * 2 ** attempt * (1 + Math.random()))
    }
  }
}

/** Letters that mean nothing to the SQL parser; anything else goes as a parameter, one trip later. */
const isPlain = (zone: string): boolean => /^[A-Za-z0-9_.:,*-]*$/.test(zone)

/** `begin` and what belongs to it in one trip: when one fails those behind it are not run. */
function beginning({ zone, publishes = false, flush = 'first' }: TransactionOptions): string {
  const statements = ['begin']
  if (publishes) statements.push('lock table bus_event in row exclusive mode')
  if (flush === 'later') statements.push('set local synchronous_commit = off')
  if (zone !== undefined && isPlain(zone))
    statements.push(`select set_config('caracal.zone_id', '${zone}', true)`)
  return statements.join('; ')
}

/**
 * One attempt. A statement that failed fails the transaction even if its error was caught (it is
 * aborted on the server); a savepoint confines a failure that is expected.
 */
export async function transact<T>(leases: LeasePool, begin: string, work: TransactionWork<T>): Promise<T> {
  const lease = await leases.take()
  const control = lease.sql()
  try {
    // Leaves in one packet with the first statements of the work. It fails only with the connection, and
    // then so do they; a failed `set_config` behind it aborts the transaction they are in.
    const begun = control.unsafe(begin).execute()
    begun.catch(() => undefined)
    const scope = openScope(lease)
    let value: T
    try {
      value = await Promise.race([scope.run(work), lease.lost])
    } catch (error) {
      if (!lease.isLost()) await control.unsafe('rollback').catch(() => lease.discard())
      throw error
    }
    // Runs after everything that was sent; where one of that failed, it rolls back.
    const { command } = await control.unsafe('commit')
    if (command !== 'COMMIT') {
      await begun
      scope.throwFailure()
      throw new Error('the transaction was rolled back by the server')
    }
    return value
  } finally {
    lease.release()
  }
}

interface Scope {
  /** Runs `work` with the scope's own handle; rejects with the first failure of a statement on it. */
  run<T>(work: TransactionWork<T>): Promise<T>
  /** Throws that failure also when it came later. */
  throwFailure(): void
}

function openScope(lease: Lease): Scope {
  let failure: { error: unknown } | null = null
  const sql = lease.sql((error) => {
    failure ??= { error }
  })
  const transaction = Object.assign(sql, {
    savepoint: (...parameters: unknown[]) =>
      inSavepoint(lease, parameters.at(-1) as (inner: postgres.TransactionSql) => unknown),
    prepare: () => {
      throw new Error('two-phase commit is not supported')
    },
  }) as unknown as postgres.TransactionSql
  const throwFailure = (): void => {
    const failed = failure as { error: unknown } | null
    if (failed !== null) throw failed.error
  }
  return {
    throwFailure,
    async run(work) {
      try {
        const value = await work(transaction)
        throwFailure()
        return value
      } catch (error) {
        // What was sent behind a statement that failed fails for its sake: that one is the reason.
        if (isAborted(error)) throwFailure()
        throw error
      }
    },
  }
}

let savepoints = 0

async function inSavepoint<T>(lease: Lease, work: TransactionWork<T>): Promise<T> {
  savepoints = (savepoints + 1) % 1_000_000
  const name = `s${savepoints}`
  const control = lease.sql()
  await control.unsafe(`savepoint ${name}`)
  try {
    const value = await openScope(lease).run(work)
    await control.unsafe(`release savepoint ${name}`)
    return value
  } catch (error) {
    if (!lease.isLost()) await control.unsafe(`rollback to savepoint ${name}`)
    throw error
  }
}
