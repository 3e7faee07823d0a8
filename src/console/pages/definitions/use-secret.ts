import { useState } from 'preact/hooks'
import { api } from '../../api.ts'

export interface HeldSecret {
  readonly value: string | undefined
  readonly error: Error | undefined
  show(): Promise<void>
  hide(): void
  /** Has a new one made, which is shown then. */
  rotate(): Promise<void>
}

/** A secret on the screen: in the memory of this page only, gone when it is left. */
export function useSecret(load: () => Promise<string>, renew: () => Promise<string>): HeldSecret {
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
    async rotate() {
      const secret = await renew()
      setError(undefined)
      setValue(secret)
    },
  }
}

interface ClientSecret {
  readonly client_secret: string
}

/** Of the application at `path`. */
export const useClientSecret = (path: string): HeldSecret =>
  useSecret(
    async () => (await api.get<ClientSecret>(`${path}/client-secret`)).client_secret,
    async () => (await api.post<ClientSecret>(`${path}/rotate-secret`)).client_secret,
  )
