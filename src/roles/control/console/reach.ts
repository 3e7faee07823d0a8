/** What an account may in which zones, so that pages offer no more than that. Each request is decided again. */
import { accountBinding } from '../rbac/built-in-roles.ts'
import { type Binding, bindingsGrant } from '../rbac/rules.ts'

interface Reach {
  /** `null` = every zone. */
  readonly zone_id: string | null
  readonly write: boolean
  readonly approve: boolean
}

const approving = { apiGroup: 'approval', resource: 'approvals', verb: 'approve' }
/** Groups of what the pages of a zone change. */
const changed: ReadonlySet<string> = new Set(['*', 'core', 'policy', 'runtime'])
const looking: ReadonlySet<string> = new Set(['list', 'get', 'validate', 'simulate'])

export function reachOf(bindings: readonly Binding[]): readonly Reach[] {
  // A zone of one's own can be begun by every account; that is nothing in a zone.
  const given = bindings.filter((binding) => binding !== accountBinding)
  return [...new Set(given.map(({ zoneId }) => zoneId))].map((zoneId) => {
    const there = given.filter((binding) => binding.zoneId === zoneId)
    return {
      zone_id: zoneId,
      write: there.some(({ rules }) =>
        rules.some(
          ({ api_groups, verbs }) =>
            api_groups.some((group) => changed.has(group)) && verbs.some((verb) => !looking.has(verb)),
        ),
      ),
      approve: bindingsGrant(there, approving, zoneId, null),
    }
  })
}
