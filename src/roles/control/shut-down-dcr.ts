/** Ending every live dynamically registered application of a zone (control-api §7.4, `revoke_live`). */
import type { Tx } from '../../platform/db/port.ts'
import type { Control } from './control.ts'
import { recordWithdrawal, withdraw } from './revoke-subject.ts'
import type { Call } from './route.ts'
import { archiveDcrApplications } from './store/applications.ts'

/** Runs inside the zone change; the caller holds the zone's authority locks, taken before the zone row. */
export async function shutDownDcr(control: Control, call: Call<unknown, unknown>, tx: Tx): Promise<void> {
  const applications = await archiveDcrApplications(tx, call.zoneId, call.attribution)
  const counts =
    applications.length === 0
      ? { authority_records: 0, sessions: 0, delegations: 0 }
      : await withdraw(
          control,
          tx,
          { zoneId: call.zoneId, subjects: applications, type: 'application', reason: 'dcr_shutdown' },
          call.requestId,
        )
  await recordDcrShutdown(control, call, tx, 'revoke_live', { applications: applications.length, ...counts })
}

/** The explicit row of the ledger for turning registration off. */
export async function recordDcrShutdown(
  control: Control,
  call: Call<unknown, unknown>,
  tx: Tx,
  how: 'keep_live' | 'revoke_live' | 'no_live',
  facts: Readonly<Record<string, unknown>>,
): Promise<void> {
  await recordWithdrawal(control, call, tx, {
    action: `DCR shutdown ${how}`,
    method: 'PATCH',
    path: `/v1/zones/${call.zoneId}`,
    entityType: 'zones',
    entityId: call.zoneId,
    facts,
  })
}
