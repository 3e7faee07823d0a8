/**
 * Keyset pages, newest first (control-api §2.7). A cursor carries the Postgres
 * text form of the timestamp, so rows of one millisecond neither repeat nor
 * vanish, and a hash of the filters, so it cannot be replayed on another list.
 */
import { createHash } from 'node:crypto'
import type { ISql, PendingQuery, Row } from 'postgres'
import { CaracalError } from '../../../platform/errors.ts'
import { type Page, pageOf } from '../../../platform/http/list-envelope.ts'
import { isRealDate } from '../../../platform/real-date.ts'

export type { Page }

export interface PageQuery {
  readonly limit: number
  readonly cursor?: string | undefined
}

interface Position {
  readonly ts: string
  readonly id: string
}

const timestamp = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?Z$/

function filterHash(filters: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(filters)).digest('base64url').slice(0, 11)
}

const invalidCursor = () =>
  new CaracalError('invalid_cursor', { status: 400, message: 'the cursor is not one this list gave out' })

function encode({ ts, id }: Position, filters: readonly unknown[]): string {
  return Buffer.from(JSON.stringify({ ts, id, f: filterHash(filters) })).toString('base64url')
}

function decode(cursor: string, filters: readonly unknown[]): Position {
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'))
  } catch {
    throw invalidCursor()
  }
  const { ts, id, f } = (value ?? {}) as Partial<Record<'ts' | 'id' | 'f', unknown>>
  if (typeof ts !== 'string' || typeof id !== 'string') throw invalidCursor()
  if (!timestamp.test(ts) || !isRealDate(ts) || id.length > 256 || id.includes('\0')) throw invalidCursor()
  if (f !== undefined && f !== filterHash(filters)) throw invalidCursor()
  return { ts, id }
}

/** What a list statement needs from its page: the condition after the cursor, and order with limit. */
export interface Keyset {
  /** `true`, or `(created_at, id) < (…)`. */
  readonly after: PendingQuery<Row[]>
  /** Column expression `… as cursor_ts`, microseconds kept. */
  readonly position: PendingQuery<Row[]>
  /** `order by … limit …`. */
  readonly tail: PendingQuery<Row[]>
  page<T extends { id: string; cursor_ts: string }>(rows: readonly T[]): Page<Omit<T, 'cursor_ts'>>
}

/**
 * A filter of a list: `condition` where a value was given, else `true`. Only the filters that were
 * asked for reach the statement, so that each combination is planned for itself.
 */
export function given<T>(
  sql: ISql,
  value: T | undefined,
  condition: (value: T) => PendingQuery<Row[]>,
): PendingQuery<Row[]> {
  return value === undefined ? sql`true` : condition(value)
}

/**
 * Prepares the keyset of one list. `column` and `idColumn` are qualified column
 * names of the statement; `filters` is everything else that shapes the list.
 */
export function keyset(
  sql: ISql,
  query: PageQuery,
  filters: readonly unknown[],
  column = 'created_at',
  idColumn = 'id',
): Keyset {
  const at = sql(column)
  const id = sql(idColumn)
  const position = query.cursor === undefined ? null : decode(query.cursor, filters)
  return {
    after:
      position === null
        ? sql`true`
        : sql`(${at}, ${id}) < (${position.ts}::timestamptz, ${position.id}::text)`,
    position: sql`to_char(${at} at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as cursor_ts`,
    // The indexes are declared `desc nulls last`; another place for nulls would be another order to the planner.
    tail: sql`order by ${at} desc nulls last, ${id} desc nulls last limit ${query.limit}`,
    page: (rows) => {
      const { items, next_cursor } = pageOf(rows, query.limit, (last) =>
        encode({ ts: last.cursor_ts, id: last.id }, filters),
      )
      return { items: items.map(({ cursor_ts: _, ...row }) => row), next_cursor }
    },
  }
}
