/** One transaction with its retries, its zone and its after-commit callbacks (storage-and-operations §2, §4). */
import { setTimeout as sleep } from 'node:timers/promises'
import type postgres from 'postgres'
import { ormOver } from './orm.ts'
import type { TransactionOptions, Tx } from './port.ts'
import { isSerializationFailure } from './unavailable.ts'

const MAX_RETRIES = 3

/**
 * Runs `work` and commits. It may run up to four times, so it must do nothing outside the
 * transaction except through `onCommit`. A failing callback is reported, never thrown: the
 * commit already happened.
 */
export async function runTransaction<T>(
  sql: postgres.Sql,
  work: (tx: Tx) => Promise<T>,
  options: TransactionOptions,
  onCallbackError: (error: unknown) => void,
): Promise<T> {
  for (let attempt = 0; ; attempt += 1) {
    const callbacks: (() => void)[] = []
    try {
      // Boxed: the driver would await the elements of an array result one by one.
      const { value } = (await sql.begin(async (transaction) => {
        if (options.zone !== undefined) {
          await transaction`select set_config('caracal.zone_id', ${options.zone}, true)`
        }
        const tx: Tx = {
          sql: transaction,
          orm: ormOver(transaction),
          onCommit: (callback) => {
            callbacks.push(callback)
          },
        }
        return { value: await work(tx) }
      })) as { value: T }
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
