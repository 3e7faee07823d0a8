import { api, inZone } from '../../api.ts'
import { Link } from '../../router.tsx'
import { useSurroundings, type Zone } from '../../state/session.tsx'
import { useData } from '../../state/use-data.ts'
import { Async, Notice } from '../../ui/basics.tsx'
import { Confirm } from '../../ui/dialog.tsx'
import { counted } from '../../ui/format.ts'

interface Overview {
  readonly applications: { readonly total: number }
  readonly resources: { readonly total: number }
  readonly providers: { readonly total: number }
  readonly policy_sets: { readonly total: number; readonly active_name: string | null }
  readonly sessions: { readonly active: number }
}

interface DeleteZoneProps {
  readonly zone: Zone
  readonly onClose: () => void
}

export function DeleteZone({ zone, onClose }: DeleteZoneProps) {
  const { reloadZones } = useSurroundings()
  const overview = useData(zone.id, (signal) => api.get<Overview>(inZone(zone.id, '/overview'), signal))
  const remove = async () => {
    await api.remove(`/v1/zones/${zone.id}`)
    reloadZones()
  }
  return (
    <Confirm title={`Delete zone “${zone.name}”?`} action="Delete zone" onConfirm={remove} onClose={onClose}>
      <p>
        Applications of “{zone.name}” can no longer sign in or get mandates, and its signing keys are no
        longer published. What it recorded stays readable. The console has no way to bring it back.
      </p>
      <Async of={overview}>{(known) => <Dependents zone={zone} of={known} />}</Async>
    </Confirm>
  )
}

/** What is still in the zone and stops with it. */
function Dependents({ zone, of }: { readonly zone: Zone; readonly of: Overview }) {
  const entries = [
    { page: 'sessions', count: of.sessions.active, one: 'active session' },
    { page: 'applications', count: of.applications.total, one: 'application' },
    { page: 'resources', count: of.resources.total, one: 'resource' },
    { page: 'providers', count: of.providers.total, one: 'provider' },
    { page: 'policies?tab=sets', count: of.policy_sets.total, one: 'policy set' },
  ].filter(({ count }) => count > 0)
  if (entries.length === 0) return <Notice tone="ok">Nothing is in it.</Notice>
  return (
    <Notice tone="warn">
      <p>These are in it and stop working:</p>
      <ul>
        {entries.map(({ page, count, one }) => (
          <li key={page}>
            <Link to={`/zones/${zone.id}/${page}`}>{counted(count, one)}</Link>
          </li>
        ))}
      </ul>
    </Notice>
  )
}
