/** Making and withdrawing grants (control-api §7.13). Withdrawing one ends what its user holds in the zone. */
import { lockAuthority } from '../../platform/db/zone-locks.ts'
import { errorOf } from '../../platform/http/errors/registry.ts'
import { uuidv7 } from '../../platform/ids.ts'
import { type Control, writing } from './control.ts'
import { found, notFound } from './not-found.ts'
import type { Call } from './route.ts'
import { findApplication } from './store/applications.ts'
import { revokeRecordsOf } from './store/authority.ts'
import { type Grant, insertGrant, revokeGrant } from './store/grants.ts'
import { findResource } from './store/resources.ts'

export interface GrantInput {
  readonly application_id: string
  readonly user_id: string
  readonly resource_id: string
  readonly scopes: readonly string[]
}

/** Throws 404 `application_not_found` (an expired registration counts as gone), `resource_not_found`; 403. */
export async function createGrant(
  control: Control,
  call: Call<unknown, unknown>,
  input: GrantInput,
): Promise<Grant> {
  return writing(control, call, async (tx) => {
    const application = found(
      await findApplication(tx, call.zoneId, input.application_id),
      'application_not_found',
    )
    if (application.expires_at !== null && application.expires_at.getTime() <= Date.now()) {
      throw notFound('application_not_found')
    }
    const resource = found(await findResource(tx, call.zoneId, input.resource_id), 'resource_not_found')
    if (resource.identifier === control.settings.CONTROL_AUDIENCE) {
      throw errorOf('control_resource_not_grantable')
    }
    if (!input.scopes.every((scope) => resource.scopes.includes(scope))) {
      throw errorOf('grant_scopes_exceed_resource')
    }
    return insertGrant(tx, { ...input, id: uuidv7(), zone_id: call.zoneId }, call.attribution)
  })
}

/** May be repeated. Throws 404 `grant_not_found`. */
export async function withdrawGrant(control: Control, call: Call<unknown, unknown>): Promise<void> {
  await writing(control, call, async (tx) => {
    await lockAuthority(tx, call.zoneId)
    const grant = found(await revokeGrant(tx, call.zoneId, call.id, call.attribution), 'grant_not_found')
    const reason = 'grant_revoked'
    const records = await revokeRecordsOf(tx, {
      zoneId: call.zoneId,
      subjects: [grant.user_id],
      type: null,
      reason,
    })
    await control.outbox.enqueue(
      tx,
      'control',
      records.map((id) => ({
        topic: 'caracal.sessions.revoke',
        payload: { zone_id: call.zoneId, session_id: id, reason, grant_id: grant.id },
        requestId: call.requestId,
      })),
    )
  })
}
