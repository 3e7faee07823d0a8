import type { Caller } from './caller.ts'
import { iso } from './session-view.ts'
import type { InvocationOwners, InvocationRow } from './store/invocations.ts'

/** An invocation as lists show it: never what it was asked or answered (coordinator §7.2). */
export const listedInvocation = (row: InvocationRow): Record<string, unknown> => ({
  id: row.id,
  zone_id: row.zone_id,
  service_id: row.service_id,
  source_session_id: row.source_session_id,
  target_session_id: row.target_session_id,
  method: row.method,
  status: row.status,
  attempts: row.attempts,
  max_attempts: row.max_attempts,
  timeout_ms: row.timeout_ms,
  deadline_at: iso(row.deadline_at),
  started_at: iso(row.started_at),
  completed_at: iso(row.completed_at),
  created_at: iso(row.created_at),
})

/** The invocation itself, without its content (coordinator §7.1). */
export const invocationView = (row: InvocationRow): Record<string, unknown> => ({
  ...listedInvocation(row),
  idempotency_key: row.idempotency_key,
  retry_policy_json: row.retry_policy_json,
  cancel_requested_at: iso(row.cancel_requested_at),
  updated_at: iso(row.updated_at),
})

/** With params, metadata and error for the applications at either end: a worker must know its input. */
export function invocationFor(
  caller: Caller,
  row: InvocationRow,
  owners: InvocationOwners,
): Record<string, unknown> {
  const { clientId } = caller
  if (clientId !== owners.service_application_id && clientId !== owners.source_application_id) {
    return invocationView(row)
  }
  return {
    ...invocationView(row),
    params_json: row.params_json,
    metadata_json: row.metadata_json,
    error_json: row.error_json,
  }
}
