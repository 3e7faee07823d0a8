import { useState } from 'preact/hooks'
import { api, inZone } from '../../api.ts'
import { Link, navigate } from '../../router.tsx'
import { useMay, type Zone } from '../../state/session.tsx'
import { useData } from '../../state/use-data.ts'
import { Async, Badge, Button, Facts, Id, Page, Section, Time } from '../../ui/basics.tsx'
import { Confirm } from '../../ui/dialog.tsx'
import { Propagation } from './propagation.tsx'
import { SetVersions } from './set-versions.tsx'
import { type Activation, loadPolicies, type PolicySet, type PolicySetVersion } from './shapes.ts'

interface SetDetailProps {
  readonly zone: Zone
  readonly id: string
}

export function SetDetail({ zone, id }: SetDetailProps) {
  const path = inZone(zone.id, `/policy-sets/${encodeURIComponent(id)}`)
  const known = useData(id, async (signal) => {
    const [set, versions, policies] = await Promise.all([
      api.get<PolicySet>(path, signal),
      api.list<PolicySetVersion>(`${path}/versions`, signal),
      loadPolicies(zone.id, signal),
    ])
    return { set, versions, policies }
  })
  const mayWrite = useMay('write')
  const [removing, setRemoving] = useState(false)
  const [activation, setActivation] = useState<Activation>()
  const set = known.value?.set
  const active = typeof set?.active_version_id === 'string'
  return (
    <Page
      title={set?.name ?? 'Policy set'}
      lead={<Link to={`/zones/${zone.id}/policies?tab=sets`}>All policy sets</Link>}
      actions={
        mayWrite &&
        set !== undefined && (
          <Button kind="danger" onClick={() => setRemoving(true)}>
            Archive
          </Button>
        )
      }
    >
      <Async of={known}>
        {({ set, versions, policies }) => (
          <>
            <Section>
              <Facts
                of={{
                  State:
                    set.active_version_id === null ? (
                      <Badge>not active</Badge>
                    ) : (
                      <Badge tone="ok">active</Badge>
                    ),
                  Description: set.description,
                  Id: <Id value={set.id} />,
                  Created: <Time at={set.created_at} />,
                }}
              />
            </Section>
            {versions
              .filter(({ id }) => id === set.active_version_id)
              .map((version) => (
                <Propagation
                  key={`${version.id} ${activation?.outbox_id}`}
                  path={path}
                  version={version}
                  outboxId={activation?.version_id === version.id ? activation.outbox_id : undefined}
                />
              ))}
            <SetVersions
              zone={zone}
              set={set}
              versions={versions}
              policies={policies}
              reload={known.reload}
              onActivated={setActivation}
            />
          </>
        )}
      </Async>
      {removing && (
        <Confirm
          title={`Archive “${set?.name}”?`}
          action="Archive"
          onConfirm={async () => {
            await api.remove(path)
            navigate(`/zones/${zone.id}/policies?tab=sets`)
          }}
          onClose={() => setRemoving(false)}
        >
          {active ? (
            <p>
              <strong>This set is the active one.</strong> Once it is archived, zone “{zone.name}” denies
              everything: no agent gets a mandate and no call passes the gateway, until another policy set is
              activated.
            </p>
          ) : (
            <p>It is not active, so nothing stops working. It cannot be activated any more.</p>
          )}
        </Confirm>
      )}
    </Page>
  )
}
