import { useState } from 'preact/hooks'
import { api, inZone } from '../../api.ts'
import { useMay, type Zone } from '../../state/session.tsx'
import { useData } from '../../state/use-data.ts'
import { Badge, Facts, Id, Section, Time } from '../../ui/basics.tsx'
import { DetailPage, RemoveButton } from '../../ui/detail-page.tsx'
import { Propagation } from './propagation.tsx'
import { SetVersions } from './set-versions.tsx'
import { type Activation, loadPolicies, type PolicySet, type PolicySetVersion } from './shapes.ts'

interface SetDetailProps {
  readonly zone: Zone
  readonly id: string
}

export function SetDetail({ zone, id }: SetDetailProps) {
  const path = inZone(zone.id, `/policy-sets/${encodeURIComponent(id)}`)
  const list = { to: `/zones/${zone.id}/policies?tab=sets`, title: 'Policy sets' }
  const known = useData(id, async (signal) => {
    const [set, versions, policies] = await Promise.all([
      api.get<PolicySet>(path, signal),
      api.list<PolicySetVersion>(`${path}/versions`, signal),
      loadPolicies(zone.id, signal),
    ])
    return { set, versions, policies }
  })
  const mayWrite = useMay('write')
  const [activation, setActivation] = useState<Activation>()
  return (
    <DetailPage
      title={known.value?.set.name ?? 'Policy set'}
      list={list}
      of={known}
      actions={
        mayWrite &&
        (({ set }) => (
          <RemoveButton action="Archive" title={`Archive “${set.name}”?`} path={path} list={list}>
            {set.active_version_id === null ? (
              <p>It is not active, so nothing stops working. It cannot be activated any more.</p>
            ) : (
              <p>
                <strong>This set is the active one.</strong> Once it is archived, zone “{zone.name}” denies
                everything: no agent gets a mandate and no call passes the gateway, until another policy set
                is activated.
              </p>
            )}
          </RemoveButton>
        ))
      }
    >
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
    </DetailPage>
  )
}
