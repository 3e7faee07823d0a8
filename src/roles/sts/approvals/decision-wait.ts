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
}

interface DecisionWatch extends Disposable {
  /** Resolves once woken since the last call, after `ms`, or when the signal aborts. */
  next(ms: number, signal: AbortSignal): Promise<void>
}

const channel = 'caracal_approval_decided'

export function createDecisionWait(db: Database): DecisionWait {
  const watchers = new Map<string, Set<() => void>>()
  let subscription: AsyncDisposable | null = null

  function wake(holdId: string): void {
    for (const ring of watchers.get(holdId) ?? []) ring()
  }

  function wakeAll(): void {
    for (const holdId of watchers.keys()) wake(holdId)
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
          if (!woken && !signal.aborted) {
            await new Promise<void>((resolve) => {
              const timer = setTimeout(resolve, ms)
              signal.addEventListener('abort', resolve as () => void, { once: true })
              resume = () => {
                clearTimeout(timer)
                signal.removeEventListener('abort', resolve as () => void)
                resolve()
              }
            })
          }
          resume = null
          woken = false
        },
        [Symbol.dispose]() {
          rings.delete(ring)
          if (rings.size === 0) watchers.delete(holdId)
        },
      }
    },

    async [Symbol.asyncDispose]() {
      await subscription?.[Symbol.asyncDispose]()
      wakeAll()
    },
  }
}
