import { useState } from 'preact/hooks'

export interface HeldSecret {
  readonly value: string | undefined
  readonly error: Error | undefined
  show(): Promise<void>
  hide(): void
  /** A new one, just made. */
  put(value: string): void
}

/** A secret on the screen: in the memory of this page only, gone when it is left. */
export function useSecret(load: () => Promise<string>): HeldSecret {
  const [value, setValue] = useState<string>()
  const [error, setError] = useState<Error>()
  return {
    value,
    error,
    async show() {
      setError(undefined)
      try {
        setValue(await load())
      } catch (thrown) {
        setError(thrown as Error)
      }
    },
    hide: () => setValue(undefined),
    put(secret) {
      setError(undefined)
      setValue(secret)
    },
  }
}
