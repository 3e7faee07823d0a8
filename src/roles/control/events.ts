/**
 * What control tells the rest of the deployment, always through the outbox in the
 * transaction of the change (audit-and-events §9, §10, control-api §5).
 */

import { uuidv7 } from '../../platform/ids.ts'
import type { HmacKey } from '../../platform/keys.ts'
import type { OutboxEvent } from '../../platform/outbox/port.ts'
import { auditOutboxEvent } from '../audit/index.ts'

/** The zone decides by another policy set version from now on; without a version it denies everything. */
export function policyInvalidated(
  zoneId: string,
  change: { readonly setId?: string; readonly versionId?: string },
  requestId: string,
): OutboxEvent {
  return {
    topic: 'caracal.policy.invalidate',
    payload: { zone_id: zoneId, policy_set_id: change.setId, policy_set_version_id: change.versionId },
    requestId,
  }
}

export const iamStream = 'caracal.iam.invalidate'

/** What is remembered of this principal (an account, a key, a token) is no longer true; without one, of all of them. */
export function iamInvalidated(principalId: string | null, requestId?: string): OutboxEvent {
  return {
    topic: iamStream,
    payload: { principal_id: principalId },
    ...(requestId === undefined ? {} : { requestId }),
  }
}

/** CR and LF in free text would make the signed canonical form ambiguous (audit-and-events §9.3). */
export function singleLine(value: string): string {
  return value.replace(/[\r\n]+/g, ' ')
}

export interface AuditFacts {
  readonly zoneId: string
  readonly eventType: string
  readonly decision: string
  readonly requestId: string
  readonly metadata: Readonly<Record<string, unknown>>
}

/** An audit event as an outbox row, committed with the change it tells of. */
export function auditEvent(facts: AuditFacts, key: HmacKey, now: Date = new Date()): OutboxEvent {
  return auditOutboxEvent(key, {
    id: uuidv7(),
    zone_id: facts.zoneId,
    event_type: facts.eventType,
    request_id: facts.requestId,
    decision: facts.decision,
    evaluation_status: 'complete',
    determining_policies_json: [],
    diagnostics_json: [],
    metadata_json: facts.metadata,
    occurred_at: now.toISOString(),
  })
}
