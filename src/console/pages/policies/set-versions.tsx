/** The versions of a policy set: what they hold, making one, trying one, making one decide. */
import { useState } from 'preact/hooks'
import { api, inZone } from '../../api.ts'
import { useMay, type Zone } from '../../state/session.tsx'
import { useData } from '../../state/use-data.ts'
import { Async, Badge, Button, Id, Section, Time } from '../../ui/basics.tsx'
import { Confirm } from '../../ui/dialog.tsx'
import { Named } from '../../ui/names.tsx'
import { useOperatorNames } from '../../ui/operators.tsx'
import { Table } from '../../ui/table.tsx'
import { Compose } from './compose.tsx'
import { DryRun } from './dry-run.tsx'
import { Manifest } from './manifest.tsx'
import {
  type Activation,
  loadManifest,
  type PolicySet,
  type PolicySetVersion,
  type PolicyWithVersions,
} from './shapes.ts'

interface SetVersionsProps {
  readonly zone: Zone
  readonly set: PolicySet
  readonly versions: readonly PolicySetVersion[]
  readonly policies: readonly PolicyWithVersions[]
  readonly reload: () => void
  readonly onActivated: (activation: Activation) => void
}

export function SetVersions({ zone, set, versions, policies, reload, onActivated }: SetVersionsProps) {
  const mayWrite = useMay('write')
  const names = useOperatorNames(versions.map(({ created_by }) => created_by))
  const [chosen, setChosen] = useState<string>()
  const [composing, setComposing] = useState(false)
  const [activating, setActivating] = useState<PolicySetVersion>()
  const shown =
    versions.find(({ id }) => id === chosen) ??
    versions.find(({ id }) => id === set.active_version_id) ??
    versions[0]
  const manifest = useData(shown?.id ?? '', async (signal) =>
    shown === undefined ? [] : loadManifest(zone.id, set.id, shown.id, signal),
  )
  const activate = async (version: PolicySetVersion) => {
    const activation = await api.post<Activation>(inZone(zone.id, `/policy-sets/${set.id}/activate`), {
      version_id: version.id,
    })
    onActivated(activation)
    reload()
  }
  const compose = (
    <Button kind={versions.length === 0 ? 'primary' : 'plain'} onClick={() => setComposing(true)}>
      {versions.length === 0 ? 'Choose policies' : 'New version'}
    </Button>
  )
  if (composing)
    return (
      <Section title="New version">
        <Async of={manifest}>
          {(held) => (
            <Compose
              zone={zone}
              setId={set.id}
              policies={policies}
              held={held}
              onCancel={() => setComposing(false)}
              onMade={(id) => {
                setComposing(false)
                setChosen(id)
                reload()
              }}
            />
          )}
        </Async>
      </Section>
    )
  return (
    <>
      <Section title="Versions" actions={mayWrite && versions.length > 0 && compose}>
        <Table
          rows={versions}
          keyOf={({ id }) => id}
          onOpen={({ id }) => setChosen(id)}
          columns={[
            {
              title: 'Version',
              cell: ({ id, version }) => (
                <>
                  {version} {id === set.active_version_id && <Badge tone="ok">active</Badge>}{' '}
                  {id === shown?.id && versions.length > 1 && <Badge tone="info">shown</Badge>}
                </>
              ),
            },
            { title: 'Created', cell: ({ created_at }) => <Time at={created_at} /> },
            { title: 'By', cell: ({ created_by }) => <Named id={created_by} names={names} /> },
            { title: 'Manifest', cell: ({ manifest_sha256 }) => <Id value={manifest_sha256} /> },
            {
              title: '',
              align: 'right',
              cell: (version) =>
                mayWrite && (
                  <Button onClick={() => setActivating(version)}>
                    {version.id === set.active_version_id ? 'Activate again' : 'Activate'}
                  </Button>
                ),
            },
          ]}
          empty={
            <>
              <p>This set holds nothing yet. Choose the policies that shall decide together.</p>
              {mayWrite && compose}
            </>
          }
        />
      </Section>
      {shown !== undefined && (
        <>
          <Section title={`Policies in version ${shown.version}`}>
            <Async of={manifest}>{(ids) => <Manifest zone={zone} ids={ids} policies={policies} />}</Async>
          </Section>
          {mayWrite && <DryRun zone={zone} setId={set.id} version={shown} />}
        </>
      )}
      {activating !== undefined && (
        <Confirm
          title={`Activate version ${activating.version} of “${set.name}”?`}
          action="Activate"
          danger={false}
          onConfirm={() => activate(activating)}
          onClose={() => setActivating(undefined)}
        >
          <p>
            From then on it alone decides in zone “{zone.name}”; what was active before decides no longer.
            Agents lose at once what the new version does not grant, mandates that are already out included.
          </p>
        </Confirm>
      )}
    </>
  )
}
