/**
 * Moves every sealed value under the current KEK (storage-and-operations §8.5). Servers may
 * run meanwhile: an update replaces exactly the bytes it opened, so a value that somebody
 * wrote in between is never put back. Plain values live for one iteration and are wiped.
 */
import type { Queryable } from '../db/port.ts'
import { EnvelopeError } from './envelope.ts'
import type { EnvelopeCipher } from './port.ts'
import { type SealedPlace, sealedPlaces } from './sealed-places.ts'

const batch = 200

type Sql = Queryable['sql']

export interface ResealFailure {
  readonly table: string
  readonly column: string
  readonly key: string
  readonly reason: string
}

export interface PlaceReport {
  readonly table: string
  readonly column: string
  /** Moved under the current key; in a dry run: would be. */
  readonly resealed: number
  /** Were there already. */
  readonly current: number
  /** Written by somebody else in between, or gone. */
  readonly raced: number
  readonly failed: number
  /** Not under the current key at the end. */
  readonly left: number
}

export interface ResealOptions {
  readonly cipher: EnvelopeCipher
  /** Opens everything and changes nothing. */
  readonly dryRun?: boolean
  readonly onPlace?: (report: PlaceReport) => void
  readonly onFailure?: (failure: ResealFailure) => void
}

/** Walks every sealed place by primary key. Rejects only when the store cannot be asked. */
export async function resealEverything(db: Queryable, options: ResealOptions): Promise<PlaceReport[]> {
  const reports: PlaceReport[] = []
  for (const place of sealedPlaces) {
    const report = await resealPlace(db.sql, place, options)
    options.onPlace?.(report)
    reports.push(report)
  }
  return reports
}

async function resealPlace(sql: Sql, place: SealedPlace, options: ResealOptions): Promise<PlaceReport> {
  const { table, column } = place
  const counts = { resealed: 0, raced: 0, failed: 0 }
  const before = await countByKey(sql, place, options.cipher)
  let after = ''
  for (;;) {
    const rows = await notCurrent(sql, place, options.cipher, after)
    for (const row of rows) {
      const outcome = await resealRow(sql, place, row, options)
      counts[outcome] += 1
    }
    const last = rows.at(-1)
    if (last === undefined || rows.length < batch) break
    after = last.key
  }
  const { left } = await countByKey(sql, place, options.cipher)
  return { table, column, current: before.current, ...counts, left }
}

interface SealedRow {
  readonly key: string
  readonly kind: string | null
  readonly envelope: Buffer
}

async function resealRow(
  sql: Sql,
  place: SealedPlace,
  row: SealedRow,
  { cipher, dryRun, onFailure }: ResealOptions,
): Promise<'resealed' | 'raced' | 'failed'> {
  const { table, column } = place
  const fail = (reason: string): 'failed' => {
    onFailure?.({ table, column, key: row.key, reason })
    return 'failed'
  }
  const aad = place.aad(row.key, row.kind)
  if (aad === null) return fail(`unknown kind of key ${JSON.stringify(row.kind)}`)
  let value: Buffer
  try {
    value = cipher.open(row.envelope, aad)
  } catch (error) {
    if (error instanceof EnvelopeError) return fail(error.message)
    throw error
  }
  try {
    if (dryRun) return 'resealed'
    const updated = await sql`
      update ${sql(table)}
      set ${sql(column)} = ${cipher.seal(value, aad)}
      where ${sql(place.key)} = ${row.key}
        and ${sql(column)} = ${row.envelope}`
    return updated.count === 1 ? 'resealed' : 'raced'
  } finally {
    value.fill(0)
  }
}

/** Rows after `after` whose envelope is under another key, or is none. Walks the primary key. */
function notCurrent(
  sql: Sql,
  { table, key, column, kind }: SealedPlace,
  cipher: EnvelopeCipher,
  after: string,
): Promise<SealedRow[]> {
  return sql<SealedRow[]>`
    select ${sql(key)} as key,
           ${kind === undefined ? sql`null::text` : sql(kind)} as kind,
           ${sql(column)} as envelope
    from ${sql(table)}
    where ${sql(key)} > ${after}
      and ${sql(column)} is not null
      and substring(${sql(column)} from 5 for 8) <> ${Buffer.from(cipher.keyId, 'hex')}
    order by ${sql(key)}
    limit ${batch}`
}

async function countByKey(
  sql: Sql,
  { table, column }: SealedPlace,
  cipher: EnvelopeCipher,
): Promise<{ current: number; left: number }> {
  const [row] = await sql<{ current: number; left: number }[]>`
    select count(*) filter (where current)::int as current,
           count(*) filter (where not current)::int as left
    from (
      select substring(${sql(column)} from 5 for 8) = ${Buffer.from(cipher.keyId, 'hex')} as current
      from ${sql(table)}
      where ${sql(column)} is not null
    ) envelopes`
  return { current: row?.current ?? 0, left: row?.left ?? 0 }
}
