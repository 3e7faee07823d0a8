/** Changing an application and its secret (control-api §7.5). The old secret dies at commit. */
import { type Control, writing } from './control.ts'
import type { CreatedApplication } from './create-application.ts'
import { applicationSecretRef, discardSecret, generateSecret, keepSecret } from './custody.ts'
import { conflict, found, invalid, noFields, notFound } from './not-found.ts'
import { refuseReserved } from './reserved.ts'
import type { Call } from './route.ts'
import { isEmptyPatch } from './routes/inputs.ts'
import {
  type Application,
  applicationNameTaken,
  archiveApplication,
  lockApplication,
  lockApplicationNames,
  updateApplication,
} from './store/applications.ts'
import { checkTraits } from './traits.ts'

export interface ApplicationChange {
  readonly name?: string | undefined
  readonly client_secret?: string | undefined
  readonly traits?: readonly string[] | undefined
}

function refuseRegistered(application: Application): void {
  if (application.registration_method === 'managed') return
  throw invalid('client_secret_not_configured', 'the secret of a registered application cannot be changed')
}

/** Throws 400 `no_fields`, `client_secret_not_configured`; 403 for traits; 404; 409 for names. */
export async function changeApplication(
  control: Control,
  call: Call<unknown, unknown>,
  change: ApplicationChange,
): Promise<Application> {
  if (isEmptyPatch({ ...change })) throw noFields()
  if (change.traits !== undefined) checkTraits(change.traits, call.principal.managesControl)
  refuseReserved(call.principal, 'application_name', change.name)
  const secret = change.client_secret
  const secretHash = secret === undefined ? undefined : await control.hasher.hashChosen(secret)
  return writing(control, call, async (tx) => {
    if (change.name !== undefined) await lockApplicationNames(tx, call.zoneId)
    const current = found(await lockApplication(tx, call.zoneId, call.id), 'application_not_found')
    if (secret !== undefined) refuseRegistered(current)
    if (change.name !== undefined && current.registration_method === 'managed') {
      if (await applicationNameTaken(tx, call.zoneId, change.name, call.id)) {
        throw conflict('application_name_taken', 'an application of this zone has this name')
      }
    }
    const traits = change.traits ?? undefined
    if (traits !== undefined && !call.principal.managesControl) refuseHiddenTraitLoss(current)
    const row = await updateApplication(
      tx,
      call.zoneId,
      call.id,
      { name: change.name, traits, secretHash },
      call.attribution,
    )
    if (secret !== undefined)
      await keepSecret(control, tx, applicationSecretRef(call.zoneId, call.id), secret)
    return row
  })
}

/** A caller who cannot see traits must not strip the ones that make an application a Control key. */
function refuseHiddenTraitLoss(current: Application): void {
  if (current.traits.some((trait) => trait.startsWith('control:'))) checkTraits(current.traits, false)
}

export async function rotateApplicationSecret(
  control: Control,
  call: Call<unknown, unknown>,
): Promise<CreatedApplication> {
  const clientSecret = generateSecret('cs_')
  const application = await writing(control, call, async (tx) => {
    const current = found(await lockApplication(tx, call.zoneId, call.id), 'application_not_found')
    refuseRegistered(current)
    const row = await updateApplication(
      tx,
      call.zoneId,
      call.id,
      { secretHash: control.hasher.hashGenerated(clientSecret) },
      call.attribution,
    )
    await keepSecret(control, tx, applicationSecretRef(call.zoneId, call.id), clientSecret)
    return row
  })
  return { application, clientSecret }
}

export async function removeApplication(control: Control, call: Call<unknown, unknown>): Promise<void> {
  await writing(control, call, async (tx) => {
    if (!(await archiveApplication(tx, call.zoneId, call.id, call.attribution))) {
      throw notFound('application_not_found')
    }
  })
  await discardSecret(control, applicationSecretRef(call.zoneId, call.id))
}
