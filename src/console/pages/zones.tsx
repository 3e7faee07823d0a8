/** All zones of this server that the operator may see. */
import { useState } from 'preact/hooks'
import { Link, navigate } from '../router.tsx'
import { mayIn, mayMakeZones, useSurroundings, type Zone } from '../state/session.tsx'
import { Badge, Button, Id, Page, Section, Time } from '../ui/basics.tsx'
import { Table } from '../ui/table.tsx'
import { DeleteZone } from './zones/delete-zone.tsx'
import { Registration } from './zones/registration.tsx'
import { SystemZones } from './zones/system-zones.tsx'
import { CreateZone, EditZone } from './zones/zone-form.tsx'

type Asked =
  | { readonly what: 'create' }
  | { readonly what: 'edit' | 'delete' | 'registration'; readonly zone: Zone }

export function Zones() {
  const { zones, systemZones, session } = useSurroundings()
  const isSystem = (zone: Zone) => systemZones.some(({ id }) => id === zone.id)
  const [asked, setAsked] = useState<Asked>()
  const close = () => setAsked(undefined)
  return (
    <Page
      title="Zones"
      lead="A zone is a world of its own: applications, resources, policies and keys of one zone mean nothing in another."
      actions={
        mayMakeZones(session) && (
          <Button kind="primary" onClick={() => setAsked({ what: 'create' })}>
            New zone
          </Button>
        )
      }
    >
      <Section>
        <Table
          rows={zones.filter((zone) => !isSystem(zone))}
          keyOf={({ id }) => id}
          textOf={({ id, name, slug }) => `${name} ${slug ?? ''} ${id}`}
          onOpen={({ id }) => navigate(`/zones/${id}`)}
          columns={[
            { title: 'Name', cell: ({ id, name }) => <Link to={`/zones/${id}`}>{name}</Link> },
            { title: 'Slug', cell: ({ slug }) => <code>{slug}</code> },
            { title: 'Id', cell: ({ id }) => <Id value={id} /> },
            {
              title: 'Dynamic registration',
              cell: ({ dcr_enabled }) =>
                dcr_enabled === true ? <Badge tone="warn">on</Badge> : <Badge>off</Badge>,
            },
            { title: 'Created', cell: ({ created_at }) => <Time at={created_at} /> },
            {
              title: '',
              cell: (zone) =>
                mayIn(session, zone.id, 'write') && (
                  <div class="actions">
                    <Button onClick={() => setAsked({ what: 'edit', zone })}>Edit</Button>
                    <Button onClick={() => setAsked({ what: 'registration', zone })}>Registration</Button>
                    <Button kind="danger" onClick={() => setAsked({ what: 'delete', zone })}>
                      Delete
                    </Button>
                  </div>
                ),
            },
          ]}
          empty="There is no zone yet."
        />
      </Section>
      {systemZones.length > 0 && <SystemZones zones={systemZones} />}
      {asked?.what === 'create' && <CreateZone onClose={close} />}
      {asked?.what === 'edit' && <EditZone zone={asked.zone} onClose={close} />}
      {asked?.what === 'registration' && <Registration zone={asked.zone} onClose={close} />}
      {asked?.what === 'delete' && <DeleteZone zone={asked.zone} onClose={close} />}
    </Page>
  )
}
