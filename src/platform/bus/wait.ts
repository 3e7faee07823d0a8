/** One waiter, many wakers: a wake that arrives while nobody waits is kept for the next wait. */
export interface Bell {
  ring(): void
  /** Settles on a ring, on abort, or after `ms` (absent: no time-out). Answers whether it rang. */
  wait(ms?: number, signal?: AbortSignal): Promise<boolean>
}

export function createBell(): Bell {
  let rung = false
  let release: (() => void) | null = null
  return {
    ring() {
      rung = true
      release?.()
    },
    async wait(ms, signal) {
      if (!rung && !signal?.aborted) {
        let timer: NodeJS.Timeout | undefined
        let done: () => void = () => undefined
        await new Promise<void>((resolve) => {
          done = resolve
          release = resolve
          if (ms !== undefined) timer = setTimeout(done, ms)
          signal?.addEventListener('abort', done)
        })
        signal?.removeEventListener('abort', done)
        release = null
        clearTimeout(timer)
      }
      const answer = rung
      rung = false
      return answer
    },
  }
}
