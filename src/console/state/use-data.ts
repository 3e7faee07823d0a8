/** What a page shows, loaded from the server. */
import { useEffect, useRef, useState } from 'preact/hooks'
import { onNewSession } from '../api.ts'

export interface Data<T> {
  /** The last answer; kept while a newer one is awaited, forgotten when what is asked for changes. */
  readonly value: T | undefined
  readonly error: Error | undefined
  readonly loading: boolean
  reload(): void
}

interface Options {
  /** Asks again this long after an answer, in milliseconds, while the page is looked at. */
  readonly refreshMs?: number
}

interface Held<T> {
  readonly key: string
  readonly value: T | undefined
  readonly error: Error | undefined
  readonly loading: boolean
}

/** Loads when shown and whenever `key` changes. */
export function useData<T>(
  key: string,
  load: (signal: AbortSignal) => Promise<T>,
  options: Options = {},
): Data<T> {
  const [held, setHeld] = useState<Held<T>>({ key, value: undefined, error: undefined, loading: true })
  const [round, setRound] = useState(0)
  const latest = useRef(load)
  latest.current = load
  const { refreshMs } = options
  // What could not be asked for meanwhile.
  useEffect(() => onNewSession(() => setRound((was) => was + 1)), [])
  useEffect(() => {
    const asked = new AbortController()
    let timer: ReturnType<typeof setTimeout> | undefined
    const ask = async () => {
      setHeld((was) => ({
        key,
        value: was.key === key ? was.value : undefined,
        error: undefined,
        loading: true,
      }))
      try {
        const value = await latest.current(asked.signal)
        if (!asked.signal.aborted) setHeld({ key, value, error: undefined, loading: false })
      } catch (error) {
        if (asked.signal.aborted) return
        setHeld((was) => ({ ...was, error: error as Error, loading: false }))
      }
      if (refreshMs !== undefined && !asked.signal.aborted) timer = setTimeout(again, refreshMs)
    }
    const again = () => {
      if (document.visibilityState === 'visible') void ask()
      else timer = setTimeout(again, refreshMs)
    }
    void ask()
    return () => {
      asked.abort()
      clearTimeout(timer)
    }
  }, [key, round, refreshMs])
  const current = held.key === key
  return {
    value: current ? held.value : undefined,
    error: current ? held.error : undefined,
    loading: current ? held.loading : true,
    reload: () => setRound((was) => was + 1),
  }
}
