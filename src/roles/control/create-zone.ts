/** Creating a zone: it starts with no policy, no application and no resource, so it allows nothing. */
import type { Tx } from '../../platform/db/port.ts'
import { errorOf } from '../../platform/http/errors/registry.ts'
import { uuidv7 } from '../../platform/ids.ts'
import { addFirstZoneKey } from '../sts/port.ts'
import type { Control } from './control.ts'
import { conflict } from './not-found.ts'
import { ZONE_ADMIN } from './rbac/built-in-roles.ts'
import { refuseReserved } from './reserved.ts'
import type { Call } from './route.ts'
import { firstFree, slugOf } from './slug.ts'
import { holdConsoleAccount } from './store/console-accounts.ts'
import { findRoleByName, insertRoleBinding } from './store/roles.ts'
import { insertZone, type NewZone, slugsStartingWith, type Zone } from './store/zones.ts'

export interface ZoneInput {
  readonly name: string
  readonly slug?: string | undefined
  readonly dcr_enabled?: boolean | undefined
}

/** A generated slug lost the race to another creation: one more look is enough in practice. */
const ATTEMPTS = 3

function rowOf(input: ZoneInput, slug: string, { principal }: Call<unknown, unknown>): NewZone {
  const owner = principal.kind === 'console' ? principal.id : (principal.actsFor ?? null)
  return {
    id: uuidv7(),
    name: input.name,
    slug,
    dcr_enabled: input.dcr_enabled ?? false,
    owner_account_id: owner,
  }
}

/** Who makes a zone in the console runs it, but gives nobody else a part of it and decides no approvals. */
async function bindOwner(
  tx: Tx,
  zone: Zone,
  { principal, attribution }: Call<unknown, unknown>,
): Promise<void> {
  if (principal.kind !== 'console') return
  const role = await findRoleByName(tx, null, ZONE_ADMIN)
  if (role === null) throw new Error('the built-in roles are not there')
  await insertRoleBinding(tx, {
    id: uuidv7(),
    roleId: role.id,
    subjectKind: 'account',
    subjectId: principal.id,
    zoneId: zone.id,
    by: attribution.by,
  })
}

async function insertWithFreeSlug(tx: Tx, input: ZoneInput, call: Call<unknown, unknown>): Promise<Zone> {
  const base = slugOf(input.name, 'zone')
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    const slug = firstFree(base, await slugsStartingWith(tx, base))
    refuseReserved(call.principal, 'zone_slug', slug)
    const zone = await insertZone(tx, rowOf(input, slug, call), call.attribution)
    if (zone !== null) return zone
  }
  throw conflict('zone_slug_conflict', 'no free slug could be found for this name; give one')
}

/** A zone is not left to an account that ends meanwhile. Throws 401 `unauthenticated`. */
async function holdOwner(tx: Tx, { principal }: Call<unknown, unknown>): Promise<void> {
  if (principal.kind !== 'console') return
  if (!(await holdConsoleAccount(tx, principal.id))) throw errorOf('unauthenticated')
}

/** Throws 409 `reserved_namespace` or `zone_slug_conflict`. */
export async function createZone(
  control: Control,
  call: Call<unknown, unknown>,
  input: ZoneInput,
): Promise<Zone> {
  refuseReserved(call.principal, 'zone_name', input.name)
  refuseReserved(call.principal, 'zone_slug', input.slug)
  // Not confined to what the caller may see: a slug is free or taken among all zones.
  return control.db.transaction(async (tx) => {
    await holdOwner(tx, call)
    const zone =
      input.slug === undefined
        ? await insertWithFreeSlug(tx, input, call)
        : await insertWithSlug(tx, input, input.slug, call)
    // Without a KEK here the STS makes the key on the first mint.
    if (control.cipher !== null) await addFirstZoneKey(control.cipher, tx, zone.id)
    await bindOwner(tx, zone, call)
    return zone
  })
}

async function insertWithSlug(
  tx: Tx,
  input: ZoneInput,
  slug: string,
  call: Call<unknown, unknown>,
): Promise<Zone> {
  const zone = await insertZone(tx, rowOf(input, slug, call), call.attribution)
  if (zone === null) throw conflict('zone_slug_conflict', 'this slug is in use')
  return zone
}
