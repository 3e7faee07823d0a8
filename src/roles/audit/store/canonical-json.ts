import type { Queryable } from '../../../platform/db/port.ts'

/** The three JSON members of one event, as `jsonb::text`; null where absent or JSON null. */
export interface CanonicalJson {
  readonly determiningPolicies: string | null
  readonly diagnostics: string | null
  readonly metadata: string | null
}

/**
 * Asks Postgres for its own spelling of the JSON members, one row for each text, in order.
 * It is never emulated: the hash must cover what a reader gets back. One round trip, no locks.
 */
export async function canonicalJson(db: Queryable, texts: readonly string[]): Promise<CanonicalJson[]> {
  const rows = await db.sql<CanonicalJson[]>`
    select
      nullif(event -> 'determining_policies_json', 'null'::jsonb)::text as "determiningPolicies",
      nullif(event -> 'diagnostics_json', 'null'::jsonb)::text as "diagnostics",
      nullif(event -> 'metadata_json', 'null'::jsonb)::text as "metadata"
    from (
      select value::jsonb as event, position
      from unnest(${texts as string[]}::text[]) with ordinality as given(value, position)
    ) as parsed
    order by position`
  return [...rows]
}
