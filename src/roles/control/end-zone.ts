/** The end of a zone (control-api §7.4): it is archived, and the STS forgets it. What is in it stays readable. */
import type { Tx } from '../../platform/db/port.ts'
import type { Control } from './control.ts'
import { policyInvalidated } from './events.ts'
import type { Attribution } from './route.ts'
import { archiveZone } from './store/zones.ts'

/** False when there is no such live zone. */
export async function endZone(
  control: Pick<Control, 'outbox'>,
  tx: Tx,
  zone: { readonly id: string; readonly by: Attribution; readonly requestId: string },
): Promise<boolean> {
  if (!(await archiveZone(tx, zone.id, zone.by))) return false
  await control.outbox.enqueue(tx, 'control', [policyInvalidated(zone.id, {}, zone.requestId)])
  return true
}
