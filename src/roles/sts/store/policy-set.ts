/** SQL that reads a zone's policy bundle (sts §6.7). Versions are immutable, only the binding changes. */
import type { Queryable } from '../../../platform/db/port.ts'

export interface ActiveBinding {
  readonly zone_id: string
  readonly policy_set_id: string
  readonly active_version_id: string
}

/** Active bindings of these zones. Unique index `(zone_id) where active_version_id is not null`. */
export function readBindings(db: Pick<Queryable, 'sql'>, zoneIds: readonly string[]) {
  return db.sql<ActiveBinding[]>`
    select zone_id, policy_set_id, active_version_id
    from policy_set_bindings
    where active_version_id is not null
      and zone_id in (select json_array_elements_text(${JSON.stringify(zoneIds)}::text::json))`
}

/** Zones to preload at start, the most recently activated first. */
export function readAllBindings(db: Pick<Queryable, 'sql'>, limit: number) {
  return db.sql<ActiveBinding[]>`
    select zone_id, policy_set_id, active_version_id
    from policy_set_bindings
    where active_version_id is not null
    order by updated_at desc
    limit ${limit}`
}

export interface PolicySetVersionRow {
  readonly manifest_json: unknown
  readonly manifest_sha256: string
  readonly schema_version: string
}

export async function readPolicySetVersion(
  db: Pick<Queryable, 'sql'>,
  versionId: string,
): Promise<PolicySetVersionRow | null> {
  const [row] = await db.sql<PolicySetVersionRow[]>`
    select manifest_json, manifest_sha256, schema_version
    from policy_set_versions
    where id = ${versionId}`
  return row ?? null
}

export interface PolicyVersionRow {
  readonly id: string
  readonly content: string
  readonly schema_version: string
}

/** Documents of the zone's own policies only: a manifest cannot borrow another zone's. */
export function readPolicyVersions(
  db: Pick<Queryable, 'sql'>,
  zoneId: string,
  versionIds: readonly string[],
) {
  return db.sql<PolicyVersionRow[]>`
    select v.id, v.content, v.schema_version
    from policy_versions v
    join policies p on p.id = v.policy_id
    where p.zone_id = ${zoneId}
      and v.id in (select json_array_elements_text(${JSON.stringify(versionIds)}::text::json))`
}
