/** Who is signed in, and in which zone they look around. */
import { createContext } from 'preact'
import { useContext } from 'preact/hooks'

export interface Session {
  readonly user: { readonly id: string; readonly name: string; readonly email: string | null }
  readonly expires_at: string
  readonly capability: 'read' | 'write' | 'approve'
  /** The only zone of this operator; `null`: every one. */
  readonly zone_id: string | null
  readonly bootstrap: boolean
}

export interface Zone {
  readonly id: string
  readonly name: string
  readonly slug?: string
  readonly created_at?: string
  readonly [field: string]: unknown
}

interface Surroundings {
  readonly session: Session
  readonly zones: readonly Zone[]
  /** Zones of the platform's own that the operator may look at. */
  readonly systemZones: readonly Zone[]
  /** The zone looked at is one of those: nothing in it is changed here. */
  readonly readOnly: boolean
  reloadZones(): void
  signOut(): void
  /** The session is over already; says why where one signs in. */
  leave(why: string): void
}

export const SurroundingsContext = createContext<Surroundings | null>(null)

export function useSurroundings(): Surroundings {
  const value = useContext(SurroundingsContext)
  if (value === null) throw new Error('used outside of the signed-in console')
  return value
}

/** Whether the operator's token allows it, in the zone looked at; the server decides again. */
export function useMay(what: 'write' | 'approve'): boolean {
  const { session, readOnly } = useSurroundings()
  if (readOnly) return false
  if (session.bootstrap) return true
  return session.capability === what
}
