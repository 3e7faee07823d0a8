import type { ComponentChildren } from 'preact'
import { Badge, Id, Time } from '../../ui/basics.tsx'
import { Named, type Names } from '../../ui/names.tsx'
import { Table } from '../../ui/table.tsx'
import { Lease } from './lease.tsx'
import type { Placed } from './session-tree.ts'
import { type Session, taskOf, tones } from './shapes.ts'

interface SessionTableProps {
  readonly rows: readonly Placed[]
  readonly names: Names
  readonly onOpen: (session: Session) => void
  readonly empty: ComponentChildren
}

export function SessionTable({ rows, names, onOpen, empty }: SessionTableProps) {
  return (
    <Table
      rows={rows}
      keyOf={({ session }) => session.id}
      onOpen={({ session }) => onOpen(session)}
      textOf={({ session }) => `${session.id} ${taskOf(session) ?? ''} ${session.labels.join(' ')}`}
      empty={empty}
      columns={[
        { title: 'Session', cell: (row) => <Name row={row} /> },
        {
          title: 'Application',
          cell: ({ session }) => <Named id={session.application_id} names={names} />,
        },
        { title: 'Kind', cell: ({ session }) => session.lifecycle },
        {
          title: 'Status',
          cell: ({ session }) => <Badge tone={tones[session.status] ?? 'idle'}>{session.status}</Badge>,
        },
        { title: 'Lease', cell: ({ session }) => <Lease session={session} /> },
        { title: 'Labels', cell: ({ session }) => session.labels.join(', ') },
        { title: 'Started', cell: ({ session }) => <Time at={session.started_at} /> },
      ]}
    />
  )
}

function Name({ row: { session, level } }: { readonly row: Placed }) {
  const task = taskOf(session)
  return (
    <>
      {level > 0 && <span class="faint">{'\u2003'.repeat(level - 1)}└ </span>}
      <Id value={session.id} />
      {task !== null && (
        <div>
          {'\u2003'.repeat(level)}
          {task}
        </div>
      )}
    </>
  )
}
