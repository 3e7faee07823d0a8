/** Session and delegation commands: the coordinator's own routes, answered under the SDK's names (control-api §9.7). */
import { CaracalError } from '../../../platform/errors.ts'
import type { Control } from '../control.ts'
import type { Action } from './command.ts'
import type { Caller } from './dispatch.ts'
import type { Flags } from './flags.ts'
import { refuse } from './refusal.ts'

type CoordinatorAction = Extract<Action, { kind: 'coordinator' }>
type Row = Readonly<Record<string, unknown>>

const TIMEOUT_MS = 15_000

const sessionNames: Readonly<Record<string, string>> = {
  agent_session_id: 'session_id',
  parent_id: 'parent_session_id',
  subject_authority_record_id: 'authority_record_id',
}
const delegationNames: Readonly<Record<string, string>> = {
  delegation_edge_id: 'delegation_id',
  parent_edge_id: 'parent_delegation_id',
}
/** Aliases for other clients that the SDK's shape does not have. */
const dropped: ReadonlySet<string> = new Set([
  'id',
  'session_sid',
  'source_agent_id',
  'target_agent_id',
  'spawned_at',
])

function renamed(row: unknown, names: Readonly<Record<string, string>>): Row {
  return Object.fromEntries(
    Object.entries((row ?? {}) as Row)
      .filter(([name]) => !dropped.has(name))
      .map(([name, value]) => [names[name] ?? name, value]),
  )
}

function rowsOf(body: unknown): readonly unknown[] {
  if (Array.isArray(body)) return body
  const items = (body as { items?: unknown } | null)?.items
  return Array.isArray(items) ? items : []
}

function shaped(shape: CoordinatorAction['shape'], body: unknown): unknown {
  const delegations = () => rowsOf(body).map((row) => renamed(row, delegationNames))
  switch (shape) {
    case 'session':
      return renamed(body, sessionNames)
    case 'tree':
      return rowsOf(body).map((row) => renamed(row, sessionNames))
    case 'delegation':
      return renamed(body, delegationNames)
    case 'delegations':
      return delegations()
    case 'delegation-page':
      return {
        items: delegations(),
        next_cursor: (body as { next_cursor?: unknown } | null)?.next_cursor ?? null,
      }
    case 'revocation': {
      const answer = (body ?? {}) as Row
      return {
        revoked_delegations: answer.revoked_delegations ?? answer.revoked_edges ?? 0,
        affected_sessions: answer.affected_sessions ?? answer.affected_agents ?? [],
      }
    }
    case 'none':
      return undefined
  }
}

async function errorOf(response: Response): Promise<CaracalError> {
  const body = (await response.json().catch(() => null)) as {
    error?: unknown
    error_description?: unknown
  } | null
  const code = typeof body?.error === 'string' ? body.error : 'upstream'
  const message = typeof body?.error_description === 'string' ? body.error_description : ''
  return new CaracalError(code, { status: response.status, message })
}

/** Throws `upstream` when the coordinator cannot be asked, and its own refusals as they are. */
export async function askCoordinator(
  control: Control,
  caller: Caller,
  action: CoordinatorAction,
  flags: Flags,
): Promise<unknown> {
  const token = control.settings.CARACAL_COORDINATOR_TOKEN
  if (control.coordinator === null || token === null) {
    throw refuse('upstream', 'the coordinator is not configured', {
      remediation: 'set CARACAL_COORDINATOR_TOKEN, and CARACAL_COORDINATOR_URL where it runs elsewhere',
    })
  }
  const base = control.settings.CARACAL_COORDINATOR_URL ?? 'http://coordinator'
  const url = new URL(`/zones/${encodeURIComponent(caller.zoneId)}/${action.path(flags)}`, base)
  const request = new Request(url, {
    method: action.method,
    headers: { authorization: `Bearer ${token}`, 'x-request-id': caller.requestId },
    signal: AbortSignal.any([caller.signal, AbortSignal.timeout(TIMEOUT_MS)]),
  })
  let response: Response
  try {
    response = await control.coordinator(request)
  } catch (cause) {
    throw refuse('upstream', 'the coordinator cannot be reached', { cause })
  }
  if (!response.ok) throw await errorOf(response)
  const body = response.status === 204 ? null : await response.json().catch(() => null)
  return shaped(action.shape, body)
}
