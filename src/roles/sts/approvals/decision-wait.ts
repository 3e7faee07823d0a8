/**
 * Waiting for a decision (sts §8.7): a hold's watchers wake on
 * `NOTIFY caracal_approval_decided, '<id>'`. A watch begins before the first read, so
 * no decision falls between reading and waiting. One LISTEN per process, however
 * many wait.
 */
import type { Database } from '../../../platform/db/port.ts'

export interface DecisionWait extends AsyncDisposable {
  start(): Promise<void>
  watch(holdId: string): DecisionWatch
  /** From now on nobody waits: who does is woken. */
  end(): void
}

interface DecisionWatch extends Disposable {
  /** Resolves once woken since the last call, or after `ms`; `false` when there is no waiting any more. */
  next(ms: number, signal: AbortSignal): Promise<boolean>
}

const channel = 'caracal_approval_decided'

export function createDecisionWait(db: Database): DecisionWait {
  const watchers = new Map<string, Set<() => void>>()
  let subscription: AsyncDisposable | null = null
  let ended = false

  function wake(holdId: string): void {
    for (const ring of watchers.get(holdId) ?? []) ring()
  }

  function wakeAll(): void {
    for (const holdId of watchers.keys()) wake(holdId)
  }

  function end(): void {
    ended = true
    wakeAll()
  }

  return {
    async start() {
      subscription = await db.listen(channel, wake, wakeAll)
    },

    watch(holdId) {
      let woken = false
      let resume: (() => void) | null = null
      const ring = () => {
        woken = true
        resume?.()
      }
      const rings = watchers.get(holdId) ?? new Set()
      watchers.set(holdId, rings)
      rings.add(ring)
      return {
        async next(ms, signal) {
          const over = () => ended || signal.aborted
          if (!woken && !over()) {
            await new Promise<void>((resolve) => {
              const stop = () => {
                clearTimeout(timer)
                signal.removeEventListener('abort', stop)
                resolve()
              }
              const timer = setTimeout(stop, ms)
              signal.addEventListener('abort', stop, { once: true })
              resume = stop
            })
          }
          const again = woken || !over()
          resume = null
          woken = false
          return again
        },
        [Symbol.dispose]() {
          rings.delete(ring)
          if (rings.size === 0) watchers.delete(holdId)
        },
      }
    },

    end,

    async [Symbol.asyncDispose]() {
      await subscription?.[Symbol.asyncDispose]()
      end()
    },
  }
}
