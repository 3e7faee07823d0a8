import { useState } from 'preact/hooks'
import { Link } from '../../router.tsx'
import { Badge, Id, Time } from '../../ui/basics.tsx'
import { Named, type Names } from '../../ui/names.tsx'
import { Table } from '../../ui/table.tsx'
import { DelegationDialog } from './delegation-dialog.tsx'
import { type Delegation, tones } from './shapes.ts'

interface DelegationTableProps {
  readonly rows: readonly Delegation[]
  readonly zoneId: string
  readonly names: Names
  readonly empty: string
  readonly onChanged: () => void
}

/** A row opens the delegation with its chain. */
export function DelegationTable({ rows, zoneId, names, empty, onChanged }: DelegationTableProps) {
  const [opened, setOpened] = useState<Delegation>()
  const session = (id: string, application: string) => (
    <>
      <Link to={`/zones/${zoneId}/sessions/${id}`}>
        <Id value={id} />
      </Link>
      <div class="hint">
        <Named id={application} names={names} />
      </div>
    </>
  )
  return (
    <>
      <Table
        rows={rows}
        keyOf={({ id }) => id}
        onOpen={setOpened}
        empty={empty}
        columns={[
          {
            title: 'From',
            cell: ({ source_session_id, issuer_application_id }) =>
              session(source_session_id, issuer_application_id),
          },
          {
            title: 'To',
            cell: ({ target_session_id, receiver_application_id }) =>
              session(target_session_id, receiver_application_id),
          },
          { title: 'Scopes', cell: ({ scopes }) => scopes.join(', ') },
          {
            title: 'Status',
            cell: ({ status }) => <Badge tone={tones[status] ?? 'idle'}>{status}</Badge>,
          },
          { title: 'Expires', cell: ({ expires_at }) => <Time at={expires_at} /> },
        ]}
      />
      {opened !== undefined && (
        <DelegationDialog
          key={opened.id}
          delegation={opened}
          zoneId={zoneId}
          names={names}
          onRevoked={onChanged}
          onClose={() => setOpened(undefined)}
        />
      )}
    </>
  )
}
