import { api, inZone } from '../../api.ts'
import { Link, navigate } from '../../router.tsx'
import { useMay, type Zone } from '../../state/session.tsx'
import { useData } from '../../state/use-data.ts'
import { Async, Button, Id, Section, Time } from '../../ui/basics.tsx'
import { Table } from '../../ui/table.tsx'
import type { Policy } from './shapes.ts'

export function PolicyList({ zone }: { readonly zone: Zone }) {
  const policies = useData(zone.id, (signal) => api.list<Policy>(inZone(zone.id, '/policies'), signal))
  const mayWrite = useMay('write')
  const here = `/zones/${zone.id}/policies`
  const create = (
    <Button kind="primary" onClick={() => navigate(`${here}/new`)}>
      New policy
    </Button>
  )
  return (
    <Section title="Policies" actions={mayWrite && create}>
      <Async of={policies}>
        {(rows) => (
          <Table
            rows={rows}
            keyOf={({ id }) => id}
            textOf={({ id, name, description }) => `${name} ${description ?? ''} ${id}`}
            onOpen={({ id }) => navigate(`${here}/${id}`)}
            columns={[
              { title: 'Name', cell: ({ id, name }) => <Link to={`${here}/${id}`}>{name}</Link> },
              { title: 'Description', cell: ({ description }) => description },
              { title: 'Id', cell: ({ id }) => <Id value={id} /> },
              {
                title: 'Changed',
                cell: ({ updated_at, created_at }) => <Time at={updated_at ?? created_at} />,
              },
            ]}
            empty={
              <>
                <p>
                  A policy says which application may hold which scopes of a resource. Without one, this zone
                  denies everything.
                </p>
                {mayWrite && create}
              </>
            }
          />
        )}
      </Async>
    </Section>
  )
}
