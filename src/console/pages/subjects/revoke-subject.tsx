/** The kill switch, with what it would take away. */
import { useState } from 'preact/hooks'
import { api, inZone } from '../../api.ts'
import type { Zone } from '../../state/session.tsx'
import { useData } from '../../state/use-data.ts'
import { Async } from '../../ui/basics.tsx'
import { Confirm } from '../../ui/dialog.tsx'
import { TextField } from '../../ui/form.tsx'
import { counted } from '../../ui/format.ts'
import { type Revocation, type Subject, subjectName } from './shapes.ts'

interface RevokeSubjectProps {
  readonly zone: Zone
  readonly subject: Subject
  readonly onRevoked: () => void
  readonly onClose: () => void
}

export function RevokeSubject({ zone, subject, onRevoked, onClose }: RevokeSubjectProps) {
  const path = inZone(zone.id, '/subjects/revoke')
  const { subject_id, application_name } = subject
  const rehearsal = useData(subject_id, () => api.post<Revocation>(path, { subject_id, dry_run: true }))
  const [reason, setReason] = useState('')
  const revoke = async () => {
    await api.post(path, { subject_id, reason: reason.trim() || undefined })
    onRevoked()
  }
  return (
    <Confirm
      title={`Revoke everything of ${subjectName(subject)}?`}
      action="Revoke everything"
      onConfirm={revoke}
      onClose={onClose}
    >
      <Async of={rehearsal}>{(taken) => <Taken of={taken} />}</Async>
      <p class="hint">
        {application_name === null
          ? 'With a new token of its issuer, the person can be given authority again.'
          : 'The application keeps its credential and can start anew; archive it or rotate its secret to keep it out.'}
      </p>
      <TextField name="reason" label="Reason" hint="Optional; stands in the audit." onInput={setReason} />
    </Confirm>
  )
}

function Taken({ of }: { readonly of: Revocation }) {
  const losses = [
    { count: of.authority_records, one: 'authority record', why: ', with the mandates made under it' },
    { count: of.sessions, one: 'session', why: ', running or suspended' },
    { count: of.delegations, one: 'delegation', why: '' },
    { count: of.connections, one: 'connected account', why: '' },
  ].filter(({ count }) => count > 0)
  if (losses.length === 0) return <p>It holds nothing at the moment, so nothing stops.</p>
  return (
    <>
      <p>This ends at once and cannot be taken back:</p>
      <ul>
        {losses.map(({ count, one, why }) => (
          <li key={one}>
            {counted(count, one)}
            {why}
          </li>
        ))}
      </ul>
    </>
  )
}
