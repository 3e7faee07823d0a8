/** Showing a custody copy. The evidence is committed to the outbox before the secret leaves (control-api §6). */
import { CaracalError } from '../../platform/errors.ts'
import { type Control, reading, writing } from './control.ts'
import { applicationSecretRef, readSecret, workloadSecretRef } from './custody.ts'
import { auditEvent } from './events.ts'
import { found, notFound } from './not-found.ts'
import { attributionOf } from './principal.ts'
import type { Call } from './route.ts'
import { findApplication } from './store/applications.ts'
import { findWorkload } from './store/workloads.ts'

async function recordReveal(
  control: Control,
  call: Call<unknown, unknown>,
  credential: Readonly<Record<string, string>>,
): Promise<void> {
  await writing(control, call, (tx) =>
    control.outbox.enqueue(tx, 'control', [
      auditEvent(
        {
          zoneId: call.zoneId,
          eventType: 'credential_revealed',
          decision: 'allow',
          requestId: call.requestId,
          metadata: { ...credential, actor: attributionOf(call.principal) },
        },
        control.keys.audit,
      ),
    ]),
  )
}

const notStored = (code: string) =>
  new CaracalError(code, { status: 404, message: 'no copy of this secret is kept' })

/** The secret of a managed application. Throws 404 `application_not_found`, `client_secret_not_stored`; 502. */
export async function revealClientSecret(control: Control, call: Call<unknown, unknown>): Promise<string> {
  const application = await reading(control, call, (db) => findApplication(db, call.zoneId, call.id))
  if (application === null || application.registration_method !== 'managed') {
    throw notFound('application_not_found')
  }
  const secret = await readSecret(control, control.db, applicationSecretRef(call.zoneId, call.id))
  if (secret === null) throw notStored('client_secret_not_stored')
  await recordReveal(control, call, {
    credential: 'application_client_secret',
    application_id: application.id,
    application_name: application.name,
  })
  return secret
}

/** The secret of a workload. Throws 404 `workload_not_found`, `workload_secret_not_stored`; 502. */
export async function revealWorkloadSecret(control: Control, call: Call<unknown, unknown>): Promise<string> {
  const workload = found(
    await reading(control, call, (db) => findWorkload(db, call.zoneId, call.id)),
    'workload_not_found',
  )
  const secret = await readSecret(control, control.db, workloadSecretRef(call.zoneId, call.id))
  if (secret === null) throw notStored('workload_secret_not_stored')
  await recordReveal(control, call, {
    credential: 'workload_secret',
    workload_id: workload.id,
    workload_name: workload.name,
  })
  return secret
}
