/**
 * Sealing, activating and deleting policy sets (control-api §7.12). Activation is one
 * transaction: at most one set of a zone is active at any instant, and the event that
 * tells the STS commits with it.
 */
import { CaracalError } from '../../platform/errors.ts'
import { uuidv7 } from '../../platform/ids.ts'
import { type Control, writing } from './control.ts'
import { policyInvalidated } from './events.ts'
import { conflict, notFound } from './not-found.ts'
import type { Call } from './route.ts'
import { loadManifestDocuments } from './store/policies.ts'
import {
  archivePolicySet,
  bindPolicySet,
  findPolicySetVersion,
  insertPolicySet,
  insertPolicySetVersion,
  lockActivation,
  lockPolicySet,
  lockPolicySetNumbering,
  type PolicySet,
  type PolicySetVersion,
  touchPolicySet,
  unbindPolicySet,
} from './store/policy-sets.ts'
import { verifyManifest } from './verify-manifest.ts'

type AnyCall = Call<unknown, unknown>

/** Throws 409 `policy_set_name_conflict`. */
export async function createPolicySet(
  control: Control,
  call: AnyCall,
  input: { readonly name: string; readonly description?: string | undefined },
): Promise<PolicySet> {
  return writing(control, call, async (tx) => {
    const set = await insertPolicySet(
      tx,
      { id: uuidv7(), zoneId: call.zoneId, name: input.name, description: input.description ?? null },
      call.attribution,
    )
    if (set === null) throw conflict('policy_set_name_conflict', 'a policy set of this zone has this name')
    return set
  })
}

/** Seals a version. Throws 404 `policy_set_not_found`; 422 of `verifyManifest`. */
export async function addPolicySetVersion(
  control: Control,
  call: AnyCall,
  manifest: readonly { readonly policy_version_id: string }[],
): Promise<PolicySetVersion> {
  return writing(control, call, async (tx) => {
    if (!(await lockPolicySet(tx, call.zoneId, call.id))) throw notFound('policy_set_not_found')
    const verified = await verifyManifest(tx, call.zoneId, manifest)
    await lockPolicySetNumbering(tx, call.id)
    const version = await insertPolicySetVersion(
      tx,
      {
        id: uuidv7(),
        setId: call.id,
        manifest: verified.canonical,
        manifestSha256: verified.sha256,
        schemaVersion: verified.schemaVersion,
      },
      call.attribution,
    )
    await touchPolicySet(tx, call.id, call.attribution)
    return version
  })
}

/** Throws 404 `version_not_found`, `policy_set_binding_not_found`; 409 `referenced_policy_version_missing`; 422. */
export async function activatePolicySet(
  control: Control,
  call: AnyCall,
  versionId: string,
): Promise<{ readonly outboxId: string }> {
  return writing(control, call, async (tx) => {
    await lockActivation(tx, call.zoneId)
    if (!(await lockPolicySet(tx, call.zoneId, call.id))) throw notFound('policy_set_binding_not_found')
    const version = await findPolicySetVersion(tx, call.zoneId, call.id, versionId)
    if (version === null) throw notFound('version_not_found')
    const ids = version.manifest_json.map((entry) => entry.policy_version_id)
    if ((await loadManifestDocuments(tx, ids)).length < ids.length) {
      throw new CaracalError('referenced_policy_version_missing', {
        status: 409,
        message: 'a policy version of this manifest no longer exists',
      })
    }
    await verifyManifest(tx, call.zoneId, version.manifest_json)
    await bindPolicySet(tx, call.zoneId, call.id, versionId)
    await touchPolicySet(tx, call.id, call.attribution)
    const [outboxId] = await control.outbox.enqueue(tx, 'control', [
      policyInvalidated(call.zoneId, { setId: call.id, versionId }, call.requestId),
    ])
    if (outboxId === undefined) throw new Error('the outbox took no row')
    return { outboxId }
  })
}

/** Archives the set; deleting the active one leaves the zone denying everything. Throws 404. */
export async function removePolicySet(control: Control, call: AnyCall): Promise<void> {
  await writing(control, call, async (tx) => {
    await lockActivation(tx, call.zoneId)
    if (!(await archivePolicySet(tx, call.zoneId, call.id, call.attribution))) {
      throw notFound('policy_set_not_found')
    }
    if (!(await unbindPolicySet(tx, call.zoneId, call.id))) return
    await control.outbox.enqueue(tx, 'control', [
      policyInvalidated(call.zoneId, { setId: call.id }, call.requestId),
    ])
  })
}
