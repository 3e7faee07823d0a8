/** Creating and changing resources: what is protected and where its traffic goes (control-api §7.9, gateway §21). */

import type { Queryable, Tx } from '../../platform/db/port.ts'
import { violatedConstraint } from '../../platform/db/unavailable.ts'
import { CaracalError } from '../../platform/errors.ts'
import { uuidv7 } from '../../platform/ids.ts'
import { type Control, reading, writing } from './control.ts'
import { given } from './create-provider.ts'
import { conflict, found, invalid, noFields } from './not-found.ts'
import { probeResource } from './probe-resource.ts'
import { refuseReserved } from './reserved.ts'
import { checkOperations, checkResourceIdentifier, type Operation } from './resource-rules.ts'
import type { Call } from './route.ts'
import { isEmptyPatch } from './routes/inputs.ts'
import { firstFree, slugOf } from './slug.ts'
import { ensureNoneProvider, findProvider, type Provider } from './store/providers.ts'
import {
  archiveResource,
  countResources,
  findResource,
  insertResource,
  lockResource,
  type OperationEnforcement,
  type Resource,
  type ResourceFields,
  resourceIdentifiersStartingWith,
  updateResource,
} from './store/resources.ts'
import { lockZone } from './store/zones.ts'

export interface ResourceInput {
  readonly name?: string | undefined
  readonly identifier?: string | undefined
  readonly upstream_url?: string | null | undefined
  readonly scopes: readonly string[]
  readonly credential_provider_id?: string | null | undefined
  readonly operations?: readonly Operation[] | undefined
  readonly operation_enforcement?: OperationEnforcement | undefined
  readonly check?: boolean | undefined
}
export type ResourcePatch = { readonly [K in keyof ResourceInput]?: ResourceInput[K] | undefined }

type AnyCall = Call<unknown, unknown>

const protectedResource = () =>
  conflict('protected_resource', 'the control resource can only be managed by a global actor')

function isControlResource(control: Control, identifier: string): boolean {
  return identifier === control.settings.CONTROL_AUDIENCE
}

/** Identifier rules in the order of gateway §21.3, rows 3 to 5. */
function checkIdentifier(control: Control, call: AnyCall, identifier: string): void {
  checkResourceIdentifier(identifier, control.settings.CONTROL_AUDIENCE)
  refuseReserved(call.principal, 'resource_identifier', identifier)
  if (isControlResource(control, identifier) && !call.principal.managesControl) throw protectedResource()
}

async function providerOf(db: Queryable, call: AnyCall, id: string): Promise<Provider> {
  return found(await findProvider(db, call.zoneId, id), 'provider_not_found')
}

/** The bound provider, or what a control resource gets instead. */
async function bindProvider(
  control: Control,
  call: AnyCall,
  tx: Tx,
  identifier: string,
  providerId: string | null | undefined,
): Promise<string> {
  if (providerId !== null && providerId !== undefined) return (await providerOf(tx, call, providerId)).id
  if (isControlResource(control, identifier)) return ensureNoneProvider(tx, call.zoneId, call.attribution)
  throw invalid('credential_provider_required', 'a resource is bound to a credential provider')
}

function requireUpstream(control: Control, identifier: string, upstream: string | null): void {
  if (upstream !== null || isControlResource(control, identifier)) return
  throw invalid('upstream_url_required', 'a resource has an upstream URL')
}

const taken = () => conflict('resource_identifier_conflict', 'a resource of this zone has this identifier')

const ATTEMPTS = 3

async function insertNamed(
  tx: Tx,
  call: AnyCall,
  fields: Omit<ResourceFields, 'name' | 'identifier'>,
  name: string | undefined,
  identifier: string | undefined,
): Promise<Resource> {
  const base = generatedBase(name ?? '')
  for (let attempt = 1; attempt <= (identifier === undefined ? ATTEMPTS : 1); attempt += 1) {
    const chosen = identifier ?? firstFree(base, await resourceIdentifiersStartingWith(tx, call.zoneId, base))
    const row = await insertResource(
      tx,
      uuidv7(),
      call.zoneId,
      { ...fields, identifier: chosen, name: name ?? chosen },
      call.attribution,
    )
    if (row !== null) return row
  }
  throw taken()
}

/** A name that already is a `resource://` identifier is used as it is. */
function generatedBase(name: string): string {
  return name.startsWith('resource://') ? name : `resource://${slugOf(name, 'resource')}`
}

async function refuseOverQuota(control: Control, db: Queryable, zoneId: string): Promise<void> {
  const limit = control.settings.API_MAX_RESOURCES_PER_ZONE
  if (limit === 0 || (await countResources(db, zoneId)) < limit) return
  throw conflict(
    'resource_quota_exceeded',
    'the zone has as many resources as API_MAX_RESOURCES_PER_ZONE allows',
  )
}

/** The zone row serialises creations, so the limit holds under concurrency. */
async function holdQuota(control: Control, tx: Tx, zoneId: string): Promise<void> {
  if (control.settings.API_MAX_RESOURCES_PER_ZONE === 0) return
  found(await lockZone(tx, zoneId), 'zone_not_found')
  await refuseOverQuota(control, tx, zoneId)
}

/** With `check`, a resource that forwards mandates must refuse a mandate nobody signed. */
async function requireGuarded(
  control: Control,
  call: AnyCall,
  input: ResourceInput,
  identifier: string,
): Promise<void> {
  if (input.check !== true || !input.upstream_url || !input.credential_provider_id) return
  const id = input.credential_provider_id
  const provider = await reading(control, call, (db) => findProvider(db, call.zoneId, id))
  if (provider?.kind !== 'caracal_mandate' || control.settings.ISSUER_URL === null) return
  const target = { zoneId: call.zoneId, identifier, upstreamUrl: input.upstream_url }
  const check = await probeResource(control, target, call.signal)
  if (check.status === 'guarded') return
  throw new CaracalError('resource_check_failed', {
    status: 422,
    message: check.detail,
    body: { details: { check } },
  })
}

/** Throws the 4xx of gateway §21.3 in its order. */
export async function createResource(
  control: Control,
  call: AnyCall,
  input: ResourceInput,
): Promise<Resource> {
  const name = given(input.name)
  const identifier = given(input.identifier)
  if (name === undefined && identifier === undefined) {
    throw invalid('invalid_resource', 'a resource needs a name or an identifier')
  }
  const preview = identifier ?? generatedBase(name ?? '')
  checkIdentifier(control, call, preview)
  const upstreamUrl = input.upstream_url ?? null
  await requireGuardedInputs(control, call, input, preview, upstreamUrl)
  await requireGuarded(control, call, input, preview)
  return writing(control, call, async (tx) => {
    await holdQuota(control, tx, call.zoneId)
    const providerId = await bindProvider(control, call, tx, preview, input.credential_provider_id)
    return insertNamed(
      tx,
      call,
      {
        upstreamUrl,
        scopes: input.scopes,
        providerId,
        operations: checkOperations(input.operations ?? [], input.scopes),
        enforcement: input.operation_enforcement ?? 'enforced',
      },
      name,
      identifier,
    )
  })
}

/** Rows 6 to 10 of gateway §21.3, before anything is dialled or written. */
async function requireGuardedInputs(
  control: Control,
  call: AnyCall,
  input: ResourceInput,
  identifier: string,
  upstreamUrl: string | null,
): Promise<void> {
  await reading(control, call, async (db) => {
    const providerId = input.credential_provider_id
    if (providerId !== null && providerId !== undefined) await providerOf(db, call, providerId)
    else if (!isControlResource(control, identifier)) {
      throw invalid('credential_provider_required', 'a resource is bound to a credential provider')
    }
    requireUpstream(control, identifier, upstreamUrl)
    checkOperations(input.operations ?? [], input.scopes)
    await refuseOverQuota(control, db, call.zoneId)
  })
}

/** Throws as `createResource`, plus 400 `no_fields` and 404. */
export async function changeResource(
  control: Control,
  call: AnyCall,
  patch: ResourcePatch,
): Promise<Resource> {
  const { check: _, ...fields } = patch
  const name = given(patch.name)
  const identifier = given(patch.identifier)
  if (isEmptyPatch({ ...fields, name, identifier })) throw noFields()
  if (identifier !== undefined) checkIdentifier(control, call, identifier)
  try {
    return await writing(control, call, async (tx) => {
      const current = found(await lockResource(tx, call.zoneId, call.id), 'resource_not_found')
      if (isControlResource(control, current.identifier) && !call.principal.managesControl) {
        throw protectedResource()
      }
      const next = identifier ?? current.identifier
      // Only a new binding is judged: an archived provider must not hold the other fields back.
      const providerId =
        patch.credential_provider_id === undefined
          ? current.credential_provider_id
          : await bindProvider(control, call, tx, next, patch.credential_provider_id)
      const upstreamUrl = patch.upstream_url === undefined ? current.upstream_url : patch.upstream_url
      requireUpstream(control, next, upstreamUrl)
      const scopes = patch.scopes ?? current.scopes
      return updateResource(
        tx,
        call.zoneId,
        call.id,
        {
          name: name ?? current.name,
          identifier: next,
          upstreamUrl,
          scopes,
          providerId,
          operations: checkOperations(patch.operations ?? current.operations, scopes),
          enforcement: patch.operation_enforcement ?? current.operation_enforcement,
        },
        call.attribution,
      )
    })
  } catch (error) {
    if (violatedConstraint(error) === 'resources_zone_id_identifier_key') throw taken()
    throw error
  }
}

/** Archives the resource: its route is gone at once. Throws 404, 409 `protected_resource`. */
export async function removeResource(control: Control, call: AnyCall): Promise<void> {
  await writing(control, call, async (tx) => {
    const current = found(await lockResource(tx, call.zoneId, call.id), 'resource_not_found')
    if (isControlResource(control, current.identifier)) throw protectedResource()
    await archiveResource(tx, call.zoneId, call.id, call.attribution)
  })
}

/** A resource the caller may see; the control resource does not exist for zone-scoped actors. */
export async function visibleResource(control: Control, call: AnyCall): Promise<Resource> {
  const row = await reading(control, call, (db) => findResource(db, call.zoneId, call.id))
  const hidden = row !== null && isControlResource(control, row.identifier) && !call.principal.seesEverything
  return found(hidden ? null : row, 'resource_not_found')
}
