import type { Queryable } from '../../../platform/db/port.ts'

/** The three JSON members of one event, as `jsonb::text`; null where absent or JSON null. */
export interface CanonicalJson {
  readonly determiningPolicies: string | null
  readonly diagnostics: string | null
  readonly metadata: string | null
}

/**
 * Asks Postgres for its own spelling of the JSON members, one row for each text, in order: the hash must
 * cover what a reader gets back. One round trip, no locks.
 * The texts are JSON objects and travel as one array that is read once, member by member: parsing
 * each of them for each member costs three times as much.
 */
export async function canonicalJson(db: Queryable, texts: readonly string[]): Promise<CanonicalJson[]> {
  const rows = await db.sql<CanonicalJson[]>`
    select
      nullif(determining_policies_json, 'null'::jsonb)::text as "determiningPolicies",
      nullif(diagnostics_json, 'null'::jsonb)::text as "diagnostics",
      nullif(metadata_json, 'null'::jsonb)::text as "metadata"
    from rows from (
      json_to_recordset(${`[${texts.join(',')}]`}::text::json) as (
        determining_policies_json jsonb, diagnostics_json jsonb, metadata_json jsonb
      )
    ) with ordinality
    order by ordinality`
  return [...rows]
}
