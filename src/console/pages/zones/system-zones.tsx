/** The platform's own zones, to be looked at. */
import { Link, navigate } from '../../router.tsx'
import type { Zone } from '../../state/session.tsx'
import { Badge, Id, Section, Time } from '../../ui/basics.tsx'
import { Table } from '../../ui/table.tsx'

export function SystemZones({ zones }: { readonly zones: readonly Zone[] }) {
  return (
    <Section title="System zones">
      <p class="hint">They belong to the platform. Nothing in them can be changed here.</p>
      <Table
        rows={zones}
        keyOf={({ id }) => id}
        textOf={({ id, name, slug }) => `${name} ${slug ?? ''} ${id}`}
        onOpen={({ id }) => navigate(`/zones/${id}`)}
        columns={[
          {
            title: 'Name',
            cell: ({ id, name }) => (
              <>
                <Link to={`/zones/${id}`}>{name}</Link> <Badge>read-only</Badge>
              </>
            ),
          },
          { title: 'Slug', cell: ({ slug }) => <code>{slug}</code> },
          { title: 'Id', cell: ({ id }) => <Id value={id} /> },
          { title: 'Created', cell: ({ created_at }) => <Time at={created_at} /> },
        ]}
        empty=""
      />
    </Section>
  )
}
