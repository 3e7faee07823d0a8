/**
 * Counts by the windows of the database's clock. The calls of one tick share one statement, whose start is when all of
 * them were made; keys are written in order, as in every batch of this driver.
 */
import { createCoalescer } from '../bus/coalesce.ts'
import type { Database } from '../db/port.ts'
import { type Counter, keptFor } from './port.ts'
import { askStore } from './postgres-ask.ts'

interface WindowCall {
  readonly key: string
  readonly windowMs: number
}

const maxBatch = 500

export function createWindowCounts({ hot: sql }: Database) {
  return createCoalescer<WindowCall, Counter>({
    maxItems: maxBatch,
    flush: async (calls) => {
      const asked = new Map<string, { calls: number; readonly windowMs: number }>()
      for (const { key, windowMs } of calls) {
        const same = asked.get(key)
        if (same === undefined) asked.set(key, { calls: 1, windowMs })
        else same.calls += 1
      }
      const sums = [...asked.values()]
      const rows = await askStore(
        sql<{ key: string; counter: string; now: number }[]>`
          insert into ephemera as e (key, counter, expires_at)
          select k || ':' || floor(extract(epoch from now()) * 1000 / ms)::bigint, n,
                 now() + kept * interval '1 millisecond'
          from unnest(${[...asked.keys()]}::text[],
                      ${sums.map((sum) => sum.calls)}::bigint[],
                      ${sums.map((sum) => sum.windowMs)}::bigint[],
                      ${sums.map((sum) => keptFor(sum.windowMs))}::float8[]) as t(k, n, ms, kept)
          order by 1
          on conflict (key) do update
          set counter = e.counter + excluded.counter
          returning key, counter, (extract(epoch from clock_timestamp()) * 1000)::float8 as now`,
      )
      /** What each key stood at before this batch, and which window it is of. */
      const stood = new Map(
        rows.map(({ key, counter, now }) => {
          const end = key.lastIndexOf(':')
          const name = key.slice(0, end)
          const count = Number(counter) - (asked.get(name)?.calls ?? 0)
          return [name, { count, window: Number(key.slice(end + 1)), now }]
        }),
      )
      return calls.map(({ key }) => {
        const at = stood.get(key)
        const windowMs = asked.get(key)?.windowMs
        if (at === undefined || windowMs === undefined) throw new Error('counter row missing')
        at.count += 1
        return { count: at.count, remainingMs: Math.max(0, Math.round((at.window + 1) * windowMs - at.now)) }
      })
    },
  })
}
