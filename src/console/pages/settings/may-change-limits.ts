/** Whether the operator may change what holds for the whole server. */
import { api } from '../../api.ts'
import { useMay, useSurroundings } from '../../state/session.tsx'
import { useData } from '../../state/use-data.ts'

interface Rule {
  readonly api_groups: readonly string[]
  readonly resources: readonly string[]
  readonly verbs: readonly string[]
}

const has = (list: readonly string[], wanted: string) => list.includes('*') || list.includes(wanted)

/** A token by its capability, an account by its roles; the server decides again. */
export function useMayChangeLimits(resource: string): boolean {
  const { session } = useSurroundings()
  const mayWrite = useMay('write')
  const isAccount = session.reach !== null
  const { value: rules = [] } = useData(`rights ${isAccount}`, async (signal) =>
    isAccount ? (await api.get<{ permissions: readonly Rule[] }>('/v1/auth/me', signal)).permissions : [],
  )
  if (!isAccount) return mayWrite && session.zone_id === null
  return rules.some(
    ({ api_groups, resources, verbs }) =>
      has(api_groups, 'platform') && has(resources, resource) && has(verbs, 'update'),
  )
}
