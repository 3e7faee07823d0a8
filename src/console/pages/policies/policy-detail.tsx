import { useState } from 'preact/hooks'
import { api, inZone } from '../../api.ts'
import { Link } from '../../router.tsx'
import { useMay, type Zone } from '../../state/session.tsx'
import { useData } from '../../state/use-data.ts'
import { Badge, Button, Facts, Id, Notice, Section, Time } from '../../ui/basics.tsx'
import { DetailPage, RemoveButton } from '../../ui/detail-page.tsx'
import { Named } from '../../ui/names.tsx'
import { useOperatorNames } from '../../ui/operators.tsx'
import { Table } from '../../ui/table.tsx'
import { DocumentEditor } from './document-editor.tsx'
import { DocumentField } from './document-field.tsx'
import { loadPolicy, type PolicyVersion, type PolicyWithVersions } from './shapes.ts'

interface PolicyDetailProps {
  readonly zone: Zone
  readonly id: string
}

export function PolicyDetail({ zone, id }: PolicyDetailProps) {
  const list = { to: `/zones/${zone.id}/policies`, title: 'Policies' }
  const policy = useData(id, (signal) => loadPolicy(zone.id, id, signal))
  const mayWrite = useMay('write')
  return (
    <DetailPage
      title={policy.value?.name ?? 'Policy'}
      list={list}
      of={policy}
      actions={
        mayWrite &&
        (({ name }) => (
          <RemoveButton
            action="Archive"
            title={`Archive “${name}”?`}
            path={inZone(zone.id, `/policies/${id}`)}
            list={list}
          >
            <p>
              It can get no new versions and leaves the list. Versions of policy sets that hold it stay as
              they are: what is enforced now is enforced until another version is activated.
            </p>
          </RemoveButton>
        ))
      }
    >
      {(known) => <Versions zone={zone} policy={known} reload={policy.reload} />}
    </DetailPage>
  )
}

interface VersionsProps {
  readonly zone: Zone
  readonly policy: PolicyWithVersions
  readonly reload: () => void
}

function Versions({ zone, policy, reload }: VersionsProps) {
  const { versions } = policy
  const mayWrite = useMay('write')
  const [chosen, setChosen] = useState<string>()
  const [draft, setDraft] = useState<string>()
  const [added, setAdded] = useState(false)
  const shown = versions.find(({ id }) => id === chosen) ?? versions[0]
  const save = async () => {
    await api.post(inZone(zone.id, `/policies/${policy.id}/versions`), { content: draft })
    setDraft(undefined)
    setChosen(undefined)
    setAdded(true)
    reload()
  }
  return (
    <>
      <Section>
        <Facts
          of={{
            Description: policy.description,
            Id: <Id value={policy.id} />,
            Created: <Time at={policy.created_at} />,
            Versions: versions.length,
          }}
        />
      </Section>
      {added && (
        <Notice tone="ok">
          A new version is stored. It decides nothing until a policy set holds it and is activated:{' '}
          <Link to={`/zones/${zone.id}/policies?tab=sets`}>to the policy sets</Link>.
        </Notice>
      )}
      {draft !== undefined ? (
        <Section title="New version">
          <DocumentEditor
            content={draft}
            onInput={setDraft}
            action="Save version"
            onSave={save}
            onCancel={() => setDraft(undefined)}
          />
        </Section>
      ) : (
        shown !== undefined && (
          <Section
            title={`Version ${shown.version}`}
            actions={
              mayWrite && (
                <Button kind="primary" onClick={() => setDraft(shown.content)}>
                  New version from this one
                </Button>
              )
            }
          >
            <DocumentField key={shown.id} label="Document" value={shown.content} />
          </Section>
        )
      )}
      {draft === undefined && versions.length > 1 && (
        <Section title="All versions">
          <VersionTable versions={versions} shown={shown?.id} onOpen={setChosen} />
        </Section>
      )}
    </>
  )
}

interface VersionTableProps {
  readonly versions: readonly PolicyVersion[]
  readonly shown: string | undefined
  readonly onOpen: (id: string) => void
}

function VersionTable({ versions, shown, onOpen }: VersionTableProps) {
  const names = useOperatorNames(versions.map(({ created_by }) => created_by))
  return (
    <Table
      rows={versions}
      keyOf={({ id }) => id}
      onOpen={({ id }) => onOpen(id)}
      columns={[
        {
          title: 'Version',
          cell: ({ id, version }) => (
            <>
              {version} {id === shown && <Badge tone="info">shown</Badge>}
            </>
          ),
        },
        { title: 'Id', cell: ({ id }) => <Id value={id} /> },
        { title: 'Created', cell: ({ created_at }) => <Time at={created_at} /> },
        { title: 'By', cell: ({ created_by }) => <Named id={created_by} names={names} /> },
        { title: 'SHA-256', cell: ({ content_sha256 }) => <Id value={content_sha256} /> },
      ]}
      empty="No versions."
    />
  )
}
