/** "default, version 3" for the id that the ledger holds; the id itself while that is not known. */
import { api, inZone } from '../../api.ts'
import { Link } from '../../router.tsx'
import { useData } from '../../state/use-data.ts'
import { Id } from '../../ui/basics.tsx'

interface PolicyVersionProps {
  readonly zoneId: string
  readonly setId: string | null
  readonly versionId: string
}

export function PolicyVersion({ zoneId, setId, versionId }: PolicyVersionProps) {
  const { value } = useData(`policy version ${versionId}`, async (signal) => {
    if (setId === null) return null
    const path = inZone(zoneId, `/policy-sets/${encodeURIComponent(setId)}`)
    const [set, { version }] = await Promise.all([
      api.get<{ readonly name: string }>(path, signal),
      api.get<{ readonly version: number }>(`${path}/versions/${encodeURIComponent(versionId)}`, signal),
    ])
    return `${set.name}, version ${version}`
  })
  return (
    <>
      {value && <Link to={`/zones/${zoneId}/policies/sets/${setId}`}>{value}</Link>} <Id value={versionId} />
    </>
  )
}
