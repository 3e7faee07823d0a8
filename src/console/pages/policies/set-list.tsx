import { useState } from 'preact/hooks'
import { api, inZone } from '../../api.ts'
import { Link, navigate } from '../../router.tsx'
import { useMay, type Zone } from '../../state/session.tsx'
import { useData } from '../../state/use-data.ts'
import { Async, Badge, Button, Id, Notice, Section, Time } from '../../ui/basics.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { Form, TextField, type Values } from '../../ui/form.tsx'
import { Table } from '../../ui/table.tsx'
import type { PolicySet } from './shapes.ts'

export function SetList({ zone }: { readonly zone: Zone }) {
  const sets = useData(zone.id, (signal) => api.list<PolicySet>(inZone(zone.id, '/policy-sets'), signal))
  const mayWrite = useMay('write')
  const [creating, setCreating] = useState(false)
  const here = `/zones/${zone.id}/policies/sets`
  const create = (
    <Button kind="primary" onClick={() => setCreating(true)}>
      New policy set
    </Button>
  )
  return (
    <Section title="Policy sets" actions={mayWrite && create}>
      <Async of={sets}>
        {(rows) => (
          <>
            {rows.length > 0 && rows.every(({ active_version_id }) => active_version_id === null) && (
              <Notice tone="warn">
                No policy set is active, so this zone denies everything. Open one and activate a version of
                it.
              </Notice>
            )}
            <Table
              rows={rows}
              keyOf={({ id }) => id}
              textOf={({ id, name, description }) => `${name} ${description ?? ''} ${id}`}
              onOpen={({ id }) => navigate(`${here}/${id}`)}
              columns={[
                { title: 'Name', cell: ({ id, name }) => <Link to={`${here}/${id}`}>{name}</Link> },
                {
                  title: 'State',
                  cell: ({ active_version_id }) =>
                    active_version_id === null ? <Badge>not active</Badge> : <Badge tone="ok">active</Badge>,
                },
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
                    A policy set says which versions of which policies decide. One set of a zone is active at
                    a time; while none is, everything is denied.
                  </p>
                  {mayWrite && create}
                </>
              }
            />
          </>
        )}
      </Async>
      {creating && <NewSet zone={zone} onClose={() => setCreating(false)} />}
    </Section>
  )
}

function NewSet({ zone, onClose }: { readonly zone: Zone; readonly onClose: () => void }) {
  const create = async (values: Values) => {
    const set = await api.post<PolicySet>(inZone(zone.id, '/policy-sets'), {
      name: values.text('name'),
      description: values.optional('description'),
    })
    navigate(`/zones/${zone.id}/policies/sets/${set.id}`)
  }
  return (
    <Dialog title="New policy set" onClose={onClose}>
      <p class="hint">Next you choose the policies in it. Nothing is enforced before you activate it.</p>
      <Form action="Create policy set" onSubmit={create} onCancel={onClose}>
        <TextField name="name" label="Name" required autoFocus placeholder="default" />
        <TextField name="description" label="Description" />
      </Form>
    </Dialog>
  )
}
