/**
 * The standing groups of the event streams (audit-and-events §9.1). control
 * creates them at start so that nothing published before a consumer's first start
 * is missed by it. Groups named after a host are created by their consumer.
 */
import type { Bus } from './port.ts'

export interface StandingGroup {
  readonly stream: string
  readonly group: string
  readonly from: 'start' | 'end'
}

export const standingGroups: readonly StandingGroup[] = [
  { stream: 'caracal.audit.events', group: 'audit-ingestor', from: 'start' },
  { stream: 'caracal.audit.events', group: 'siem-export', from: 'end' },
  { stream: 'caracal.audit.events.dlq', group: 'audit-dlq-observer', from: 'end' },
  { stream: 'caracal.sessions.revoke', group: 'sts-revocation', from: 'end' },
  { stream: 'caracal.policy.invalidate', group: 'opa-engine', from: 'end' },
  { stream: 'caracal.delegations.invalidate', group: 'delegations-observer', from: 'end' },
  { stream: 'caracal.agents.lifecycle', group: 'coordinator-relay', from: 'end' },
  { stream: 'caracal.invocations.lifecycle', group: 'invocations-observer', from: 'end' },
  { stream: 'caracal.keys.invalidate', group: 'sts-keys', from: 'end' },
]

/**
 * Creates the standing groups, idempotently. Under Postgres a group exists only once its consumer
 * created it (storage-and-operations §7.5): a group nobody reads would only pile up a backlog.
 */
export async function provisionStandingGroups(bus: Bus): Promise<void> {
  if (bus.driver === 'postgres') return
  for (const { stream, group, from } of standingGroups) await bus.group(stream, group).ensure(from)
}
