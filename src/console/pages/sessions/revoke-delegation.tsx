import { api, inCoordinator } from '../../api.ts'
import { Confirm } from '../../ui/dialog.tsx'
import { counted } from '../../ui/format.ts'
import type { Impact } from './delegation-graph.ts'

interface RevokeDelegationProps {
  readonly id: string
  readonly zoneId: string
  /** Not there while it is not known. */
  readonly impact: Impact | undefined
  readonly onRevoked: () => void
  readonly onClose: () => void
}

export function RevokeDelegation({ id, zoneId, impact, onRevoked, onClose }: RevokeDelegationProps) {
  const revoke = async () => {
    await api.remove(inCoordinator(zoneId, `/delegations/${id}`))
    onRevoked()
  }
  return (
    <Confirm title="Revoke this delegation?" action="Revoke" onConfirm={revoke} onClose={onClose}>
      <p>
        {impact === undefined
          ? 'It ends, with every delegation that stands on it and the sessions that received them.'
          : `${counted(impact.affected_edges.length, 'delegation')} and ${counted(impact.affected_sessions.length, 'session')} end: this one and all that stands on it.`}{' '}
        Mandates made from them are refused from now on. This cannot be taken back.
      </p>
    </Confirm>
  )
}
