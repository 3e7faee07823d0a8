import { Link } from '../../router.tsx'
import type { Zone } from '../../state/session.tsx'
import { Badge, Id } from '../../ui/basics.tsx'
import { Table } from '../../ui/table.tsx'
import type { PolicyWithVersions } from './shapes.ts'

interface ManifestProps {
  readonly zone: Zone
  /** Policy versions, in order. */
  readonly ids: readonly string[]
  readonly policies: readonly PolicyWithVersions[]
}

/** Which policies a version of a set holds. */
export function Manifest({ zone, ids, policies }: ManifestProps) {
  const rows = ids.map((id) => {
    const policy = policies.find(({ versions }) => versions.some((version) => version.id === id))
    return { id, policy, number: policy?.versions.find((version) => version.id === id)?.version }
  })
  return (
    <Table
      rows={rows}
      keyOf={({ id }) => id}
      columns={[
        {
          title: 'Policy',
          cell: ({ policy }) =>
            policy === undefined ? (
              <span class="faint">archived policy</span>
            ) : (
              <Link to={`/zones/${zone.id}/policies/${policy.id}`}>{policy.name}</Link>
            ),
        },
        {
          title: 'Version',
          cell: ({ number, policy }) => (
            <>
              {number ?? '–'}{' '}
              {policy?.versions[0] !== undefined && policy.versions[0].version !== number && (
                <Badge tone="warn">newest is {policy.versions[0].version}</Badge>
              )}
            </>
          ),
        },
        { title: 'Version id', cell: ({ id }) => <Id value={id} /> },
      ]}
      empty="It holds no policies."
    />
  )
}
