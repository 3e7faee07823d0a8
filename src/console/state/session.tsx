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
  /** What an account may where; `null` of a token, whose capability says it. */
  readonly reach: readonly Reach[] | null
}

interface Reach {
  /** `null`: in every zone. */
  readonly zone_id: string | null
  readonly write: boolean
  readonly approve: boolean
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
  /** The zone looked at; `null` on the pages of the server. */
  readonly zoneId: string | null
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

type Act = 'write' | 'approve'

/** Whether the operator's token or roles allow it, in the zone looked at; the server decides again. */
export function useMay(what: Act): boolean {
  const { session, zoneId, readOnly } = useSurroundings()
  return !readOnly && mayIn(session, zoneId, what)
}

export function mayIn({ bootstrap, capability, reach }: Session, zoneId: string | null, what: Act): boolean {
  if (bootstrap) return true
  if (reach === null) return capability === what
  return reach.some((one) => (one.zone_id === null || one.zone_id === zoneId) && one[what])
}

/** Every account may begin a zone of its own; of tokens those that write everywhere. */
export const mayMakeZones = (session: Session): boolean =>
  session.reach !== null || (session.zone_id === null && mayIn(session, null, 'write'))
