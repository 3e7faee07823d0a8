/** Creating applications, managed by an administrator or registered dynamically (control-api §7.5). */
import { CaracalError } from '../../platform/errors.ts'
import { uuidv7 } from '../../platform/ids.ts'
import { type Control, writing } from './control.ts'
import { applicationSecretRef, generateSecret, keepSecret } from './custody.ts'
import { conflict, found } from './not-found.ts'
import { refuseReserved } from './reserved.ts'
import { retryAfter } from './retry-after.ts'
import type { Call } from './route.ts'
import {
  type Application,
  applicationNameTaken,
  insertApplication,
  lockApplicationNames,
} from './store/applications.ts'
import { countLiveDcrApplications, lockZone } from './store/zones.ts'
import { checkTraits } from './traits.ts'

export interface CreatedApplication {
  readonly application: Application
  readonly clientSecret: string
}

const MAX_LIVE_DCR = 1000
const DCR_PER_SECOND = 10

/** A managed application with a fresh secret. The row, its hash and the custody copy commit together. */
export async function createApplication(
  control: Control,
  call: Call<unknown, unknown>,
  input: { readonly name: string; readonly traits?: readonly string[] | undefined },
): Promise<CreatedApplication> {
  const traits = input.traits ?? []
  checkTraits(traits, call.principal.managesControl)
  refuseReserved(call.principal, 'application_name', input.name)
  const id = uuidv7()
  const clientSecret = generateSecret('cs_')
  const application = await writing(control, call, async (tx) => {
    await lockApplicationNames(tx, call.zoneId)
    if (await applicationNameTaken(tx, call.zoneId, input.name, null)) {
      throw conflict('application_name_taken', 'an application of this zone has this name')
    }
    const row = await insertApplication(
      tx,
      {
        id,
        zoneId: call.zoneId,
        name: input.name,
        registrationMethod: 'managed',
        secretHash: control.hasher.hashGenerated(clientSecret),
        traits,
        expiresIn: null,
      },
      call.attribution,
    )
    await keepSecret(control, tx, applicationSecretRef(call.zoneId, id), clientSecret)
    return row
  })
  return { application, clientSecret }
}

/** Refuses more than ten registrations per second and actor; without the counter store it does not stand in the way. */
async function limitRegistrations(control: Control, call: Call<unknown, unknown>): Promise<void> {
  const counter = await control.ephemera
    .increment(`rl:dcr:${call.zoneId}:${call.principal.id}`, 1000)
    .catch((error: unknown) => {
      control.log.warn({ err: error }, 'dcr_rate_limit_skipped')
      return null
    })
  if (counter === null || counter.count <= DCR_PER_SECOND) return
  throw new CaracalError('dcr_rate_limit_exceeded', {
    status: 429,
    message: 'too many registrations in one second',
    headers: retryAfter(counter.remainingMs),
  })
}

/** A short-lived application that registers itself; its secret is never kept and cannot be shown again. */
export async function registerApplication(
  control: Control,
  call: Call<unknown, unknown>,
  input: { readonly name: string; readonly expires_in: number },
): Promise<CreatedApplication> {
  refuseReserved(call.principal, 'application_name', input.name)
  await limitRegistrations(control, call)
  const clientSecret = generateSecret('cs_')
  const application = await writing(control, call, async (tx) => {
    const zone = found(await lockZone(tx, call.zoneId), 'zone_not_found')
    if (!zone.dcr_enabled) {
      throw new CaracalError('dcr_disabled', {
        status: 403,
        message: 'dynamic client registration is off in this zone',
      })
    }
    if ((await countLiveDcrApplications(tx, call.zoneId)) >= MAX_LIVE_DCR) {
      throw new CaracalError('dcr_limit_exceeded', {
        status: 429,
        message: 'the zone has as many live registered applications as it may',
        // They expire, nobody knows which first.
        headers: retryAfter(Number.POSITIVE_INFINITY),
      })
    }
    return insertApplication(
      tx,
      {
        id: uuidv7(),
        zoneId: call.zoneId,
        name: input.name,
        registrationMethod: 'dcr',
        secretHash: control.hasher.hashGenerated(clientSecret),
        traits: [],
        expiresIn: input.expires_in,
      },
      call.attribution,
    )
  })
  return { application, clientSecret }
}
