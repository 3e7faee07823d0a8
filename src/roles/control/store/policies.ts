/** Policies and their immutable versions (storage-and-operations §3.1). */
import type { Queryable, Tx } from '../../../platform/db/port.ts'
import { plannedForItsValues } from '../../../platform/db/statement.ts'
import type { Attribution } from '../route.ts'
import { archiveLive, findLive } from './definitions.ts'
import { keyset, type Page, type PageQuery } from './page.ts'

export interface Policy {
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
}

export interface PolicyVersion {
  readonly id: string
  readonly policy_id: string
  readonly version: number
  readonly content: string
  readonly content_sha256: string
  readonly schema_version: string
  readonly created_by: string
  readonly created_via_operator: boolean
  readonly created_at: Date
  readonly archived_at: Date | null
}

const columns = ({ sql }: Queryable) => sql`
  id, zone_id, name, description,
  created_by, created_via_operator, updated_by, updated_via_operator, created_at, updated_at`

const versionColumns = ({ sql }: Queryable) => sql`
  id, policy_id, version, content, content_sha256, schema_version,
  created_by, created_via_operator, created_at, archived_at`

export async function listPolicies(db: Queryable, zoneId: string, query: PageQuery): Promise<Page<Policy>> {
  const { sql } = db
  const keys = keyset(sql, query, ['policies', zoneId])
  const rows = await plannedForItsValues(sql<(Policy & { cursor_ts: string })[]>`
    select ${columns(db)}, ${keys.position}
    from policies
    where zone_id = ${zoneId} and archived_at is null and ${keys.after}
    ${keys.tail}`)
  return keys.page(rows)
}

export const findPolicy = (db: Queryable, zoneId: string, id: string): Promise<Policy | null> =>
  findLive(db, 'policies', columns, zoneId, id)

/** Versions of one policy, newest first. */
export async function listPolicyVersions(db: Queryable, policyId: string): Promise<PolicyVersion[]> {
  return await db.sql<PolicyVersion[]>`
    select ${versionColumns(db)} from policy_versions where policy_id = ${policyId} order by version desc`
}

/** Inserts the policy; `null` when an active policy of the zone has the name. */
export async function insertPolicy(
  tx: Tx,
  policy: {
    readonly id: string
    readonly zoneId: string
    readonly name: string
    readonly description: string | null
  },
  by: Attribution,
): Promise<Policy | null> {
  const [row] = await tx.sql<Policy[]>`
    insert into policies
      (id, zone_id, name, description, created_by, created_via_operator, updated_by, updated_via_operator)
    values
      (${policy.id}, ${policy.zoneId}, ${policy.name}, ${policy.description},
       ${by.by}, ${by.viaOperator}, ${by.by}, ${by.viaOperator})
    on conflict (zone_id, name) where archived_at is null do nothing
    returning ${columns(tx)}`
  return row ?? null
}

/** One version number at a time per policy (storage-and-operations §7.2). */
export async function lockPolicyNumbering(tx: Tx, policyId: string): Promise<void> {
  await tx.sql`select pg_advisory_xact_lock(hashtext(${`policy:${policyId}`}))`
}

/** Appends the next version; the caller holds `lockPolicyNumbering`. */
export async function insertPolicyVersion(
  tx: Tx,
  version: {
    readonly id: string
    readonly policyId: string
    readonly content: string
    readonly contentSha256: string
    readonly schemaVersion: string
  },
  by: Attribution,
): Promise<PolicyVersion> {
  const [row] = await tx.sql<PolicyVersion[]>`
    insert into policy_versions
      (id, policy_id, version, content, content_sha256, schema_version, created_by, created_via_operator)
    select ${version.id}, ${version.policyId}, coalesce(max(version), 0) + 1, ${version.content},
           ${version.contentSha256}, ${version.schemaVersion}, ${by.by}, ${by.viaOperator}
    from policy_versions where policy_id = ${version.policyId}
    returning ${versionColumns(tx)}`
  if (row === undefined) throw new Error('insert returned no row')
  return row
}

export async function touchPolicy(tx: Tx, id: string, by: Attribution): Promise<void> {
  await tx.sql`
    update policies set updated_at = now(), updated_by = ${by.by}, updated_via_operator = ${by.viaOperator}
    where id = ${id}`
}

/** True when it was live and is now archived. */
export const archivePolicy = (tx: Tx, zoneId: string, id: string, by: Attribution): Promise<boolean> =>
  archiveLive(tx, 'policies', zoneId, id, by)

export interface ManifestDocument {
  readonly id: string
  readonly zone_id: string
  readonly content: string
  readonly schema_version: string
}

/** The named versions with the zone that owns each, unordered. They are immutable, so reading needs no lock. */
export async function loadManifestDocuments(
  db: Queryable,
  versionIds: readonly string[],
): Promise<ManifestDocument[]> {
  return await db.sql<ManifestDocument[]>`
    select v.id, p.zone_id, v.content, v.schema_version
    from policy_versions v
    join policies p on p.id = v.policy_id
    where v.id = any(${versionIds as string[]}::text[])`
}

/** These versions of the zone's policies in the order of the ids, each with the name of its policy, archived or not. */
export async function policyVersionsOf(
  db: Queryable,
  zoneId: string,
  ids: readonly string[],
): Promise<(PolicyVersion & { readonly policy_name: string })[]> {
  return await db.sql<(PolicyVersion & { readonly policy_name: string })[]>`
    select v.id, v.policy_id, p.name as policy_name, v.version, v.content, v.content_sha256, v.schema_version,
      v.created_by, v.created_via_operator, v.created_at, v.archived_at
    from unnest(${ids as string[]}::text[]) with ordinality as named(id, place)
    join policy_versions v on v.id = named.id
    join policies p on p.id = v.policy_id
    where p.zone_id = ${zoneId}
    order by named.place`
}
