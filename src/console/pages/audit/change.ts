/** A row of the administrative ledger, and how to say it. */
export interface Change {
  readonly id: string
  readonly request_id: string
  readonly actor_id: string | null
  readonly actor_name: string | null
  readonly actor_scope: string | null
  readonly action: string
  readonly entity_type: string | null
  readonly entity_id: string | null
  readonly status_code: number
  readonly payload_json: {
    readonly change_kind?: string
    readonly changed_fields?: readonly string[]
    readonly secret_rotated?: boolean
  } | null
  readonly occurred_at: string
  readonly chain_seq: number
  readonly signed: boolean
}

export const nameOf = (kind: string): string => kind.replaceAll('-', ' ')

/** Agents change things too: their own sessions and delegations, by their lifecycle mandates. */
export function isByPerson({ actor_scope }: Change): boolean {
  const rights = actor_scope?.split(' ') ?? []
  return !rights.includes('agent:lifecycle') || rights.includes('coordinator.admin')
}

const verbs: Readonly<Record<string, string>> = {
  GET: 'read',
  POST: 'create',
  PUT: 'replace',
  PATCH: 'update',
  DELETE: 'delete',
}

/** "create: policies"; "suspend: agents". */
export function sentenceOf({ payload_json: payload, entity_type: kind, action }: Change): string {
  const [method = '', path = ''] = action.split(' ')
  const last = path.split('/').at(-1) ?? ''
  const named = method !== 'GET' && /^[a-z][a-z-]*$/.test(last) && last !== kind ? last : null
  const verb = named ?? payload?.change_kind ?? verbs[method] ?? method
  return `${verb.replaceAll(/[-_]/g, ' ')}: ${nameOf(kind ?? 'zones')}`
}

export function changedIn({ payload_json: payload }: Change): string {
  return [...(payload?.changed_fields ?? []), ...(payload?.secret_rotated ? ['(secret rotated)'] : [])].join(
    ', ',
  )
}
