/** Policy sets, their immutable versions and the one active binding of a zone (storage-and-operations §3.1). */
import type { Queryable, Tx } from '../../../platform/db/port.ts'
import { plannedForItsValues } from '../../../platform/db/statement.ts'
import type { Attribution } from '../route.ts'
import { archiveLive } from './definitions.ts'
import { keyset, type Page, type PageQuery } from './page.ts'

export interface PolicySet {
  readonly id: string
  readonly zone_id: string
  readonly name: string
  readonly description: string | null
  readonly created_by: string
  readonly created_via_operator: boolean
  readonly updated_by: string | null
  readonly updated_via_operator: boolean
  readonly created_at: Date
  readonly updated_at: Date
  readonly active_version_id: string | null
}

export interface PolicySetVersion {
  readonly id: string
  readonly policy_set_id: string
  readonly version: number
  readonly manifest_json: readonly { readonly policy_version_id: string }[]
  readonly manifest_sha256: string
  readonly schema_version: string
  readonly created_by: string
  readonly created_via_operator: boolean
  readonly created_at: Date
}

const columns = ({ sql }: Queryable) => sql`
  s.id, s.zone_id, s.name, s.description, s.created_by, s.created_via_operator, s.updated_by,
  s.updated_via_operator, s.created_at, s.updated_at, b.active_version_id`

const versionColumns = ({ sql }: Queryable) => sql`
  id, policy_set_id, version, manifest_json, manifest_sha256, schema_version,
  created_by, created_via_operator, created_at`

export async function listPolicySets(
  db: Queryable,
  zoneId: string,
  query: PageQuery,
): Promise<Page<PolicySet>> {
  const { sql } = db
  const keys = keyset(sql, query, ['policy_sets', zoneId], 's.created_at', 's.id')
  const rows = await plannedForItsValues(sql<(PolicySet & { cursor_ts: string })[]>`
    select ${columns(db)}, ${keys.position}
    from policy_sets s
    left join policy_set_bindings b on b.zone_id = s.zone_id and b.policy_set_id = s.id
    where s.zone_id = ${zoneId} and s.archived_at is null and ${keys.after}
    ${keys.tail}`)
  return keys.page(rows)
}

export async function findPolicySet(db: Queryable, zoneId: string, id: string): Promise<PolicySet | null> {
  const [row] = await db.sql<PolicySet[]>`
    select ${columns(db)}
    from policy_sets s
    left join policy_set_bindings b on b.zone_id = s.zone_id and b.policy_set_id = s.id
    where s.zone_id = ${zoneId} and s.id = ${id} and s.archived_at is null`
  return row ?? null
}

/** Locks a live set against change until the transaction ends; false without one. */
export async function lockPolicySet(tx: Tx, zoneId: string, id: string): Promise<boolean> {
  const rows = await tx.sql`
    select id from policy_sets where zone_id = ${zoneId} and id = ${id} and archived_at is null for update`
  return rows.length > 0
}

/** Inserts the set; `null` when an active set of the zone has the name. */
export async function insertPolicySet(
  tx: Tx,
  set: {
    readonly id: string
    readonly zoneId: string
    readonly name: string
    readonly description: string | null
  },
  by: Attribution,
): Promise<PolicySet | null> {
  const [row] = await tx.sql<PolicySet[]>`
    insert into policy_sets
      (id, zone_id, name, description, created_by, created_via_operator, updated_by, updated_via_operator)
    values
      (${set.id}, ${set.zoneId}, ${set.name}, ${set.description},
       ${by.by}, ${by.viaOperator}, ${by.by}, ${by.viaOperator})
    on conflict (zone_id, name) where archived_at is null do nothing
    returning id, zone_id, name, description, created_by, created_via_operator, updated_by,
      updated_via_operator, created_at, updated_at, null as active_version_id`
  return row ?? null
}

export async function lockPolicySetNumbering(tx: Tx, setId: string): Promise<void> {
  await tx.sql`select pg_advisory_xact_lock(hashtext(${`policy_set:${setId}`}))`
}

export async function touchPolicySet(tx: Tx, id: string, by: Attribution): Promise<void> {
  await tx.sql`
    update policy_sets set updated_at = now(), updated_by = ${by.by}, updated_via_operator = ${by.viaOperator}
    where id = ${id}`
}

/** Appends the next version; the caller holds `lockPolicySetNumbering`. */
export async function insertPolicySetVersion(
  tx: Tx,
  version: {
    readonly id: string
    readonly setId: string
    readonly manifest: string
    readonly manifestSha256: string
    readonly schemaVersion: string
  },
  by: Attribution,
): Promise<PolicySetVersion> {
  const [row] = await tx.sql<PolicySetVersion[]>`
    insert into policy_set_versions
      (id, policy_set_id, version, manifest_json, manifest_sha256, schema_version, created_by, created_via_operator)
    select ${version.id}, ${version.setId}, coalesce(max(version), 0) + 1, ${version.manifest}::jsonb,
           ${version.manifestSha256}, ${version.schemaVersion}, ${by.by}, ${by.viaOperator}
    from policy_set_versions where policy_set_id = ${version.setId}
    returning ${versionColumns(tx)}`
  if (row === undefined) throw new Error('insert returned no row')
  return row
}

export async function listPolicySetVersions(
  db: Queryable,
  setId: string,
  query: PageQuery,
): Promise<Page<PolicySetVersion>> {
  const { sql } = db
  const keys = keyset(sql, query, ['policy_set_versions', setId])
  const rows = await plannedForItsValues(sql<(PolicySetVersion & { cursor_ts: string })[]>`
    select ${versionColumns(db)}, ${keys.position}
    from policy_set_versions
    where policy_set_id = ${setId} and ${keys.after}
    ${keys.tail}`)
  return keys.page(rows)
}

/** A version of a set of the zone; of an archived one too, because evidence goes on naming it. */
export async function findPolicySetVersion(
  db: Queryable,
  zoneId: string,
  setId: string,
  versionId: string,
): Promise<PolicySetVersion | null> {
  const [row] = await db.sql<PolicySetVersion[]>`
    select v.id, v.policy_set_id, v.version, v.manifest_json, v.manifest_sha256, v.schema_version,
      v.created_by, v.created_via_operator, v.created_at
    from policy_set_versions v
    join policy_sets s on s.id = v.policy_set_id
    where v.id = ${versionId} and s.id = ${setId} and s.zone_id = ${zoneId}`
  return row ?? null
}

/** One activation at a time per zone (storage-and-operations §7.2). */
export async function lockActivation(tx: Tx, zoneId: string): Promise<void> {
  await tx.sql`select pg_advisory_xact_lock(hashtext(${`policy_activation:${zoneId}`}))`
}

/** Makes `versionId` the one active version of the zone. The caller holds `lockActivation`. */
export async function bindPolicySet(tx: Tx, zoneId: string, setId: string, versionId: string): Promise<void> {
  await tx.sql`
    update policy_set_bindings set active_version_id = null, updated_at = now()
    where zone_id = ${zoneId} and policy_set_id <> ${setId} and active_version_id is not null`
  await tx.sql`
    insert into policy_set_bindings (zone_id, policy_set_id, active_version_id, updated_at)
    values (${zoneId}, ${setId}, ${versionId}, now())
    on conflict (zone_id, policy_set_id)
      do update set active_version_id = excluded.active_version_id, updated_at = now()`
}

/** Clears the set's binding; true when it was the active one. */
export async function unbindPolicySet(tx: Tx, zoneId: string, setId: string): Promise<boolean> {
  const rows = await tx.sql`
    update policy_set_bindings set active_version_id = null, updated_at = now()
    where zone_id = ${zoneId} and policy_set_id = ${setId} and active_version_id is not null
    returning policy_set_id`
  return rows.length > 0
}

/** True when it was live and is now archived. */
export const archivePolicySet = (tx: Tx, zoneId: string, id: string, by: Attribution): Promise<boolean> =>
  archiveLive(tx, 'policy_sets', zoneId, id, by)
