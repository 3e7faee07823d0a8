/**
 * Keyset pages, newest first (control-api §2.7): `where (created_at, id) < (cursor)` over the
 * keyset index `(zone_id, created_at desc, id desc)`. The cursor carries the instant as text with
 * microseconds, so rows made in one millisecond are neither skipped nor shown twice.
 *
 * Raw SQL: select `to_char(created_at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as cursor_ts` (sessions run
 * in UTC) and compare with `(created_at, id) < (${after.ts}::timestamptz, ${after.id})`.
 */
import { createHash } from 'node:crypto'
import { canonicalJson } from '../canonical-json.ts'
import { CaracalError } from '../errors.ts'
import { isRealDate } from '../real-date.ts'
import { type SQL, type SQLWrapper, sql } from './drizzle.ts'

/** A place in a list: the row after which the next page begins. */
export interface Position {
  /** ISO 8601 in UTC, up to six digits of a second. */
  readonly ts: string
  readonly id: string
}

/** The list envelope. */
export interface Page<T> {
  readonly items: T[]
  readonly next_cursor: string | null
}

/** What narrows a list besides its zone: a cursor is good only for the filters it was made under. */
export type Filters = Readonly<Record<string, string | number | boolean | null | undefined>>

const MAX_CURSOR_LENGTH = 512
const instantPattern = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?Z$/

export function encodeCursor(position: Position, filters: Filters = {}): string {
  const f = fingerprint(filters)
  const body = { ts: position.ts, id: position.id, ...(f === null ? {} : { f }) }
  return Buffer.from(JSON.stringify(body)).toString('base64url')
}

/** Throws 400 `invalid_cursor` for anything this server did not make for these filters. */
export function decodeCursor(cursor: string, filters: Filters = {}): Position {
  const body = parse(cursor)
  if (body === null) throw invalidCursor()
  const { ts, id, f } = body
  if (typeof ts !== 'string' || !isInstant(ts)) throw invalidCursor()
  if (typeof id !== 'string' || id === '' || id.includes('\0')) throw invalidCursor()
  if ((f ?? null) !== fingerprint(filters)) throw invalidCursor()
  return { ts, id }
}

/**
 * Wraps the rows of one query with `limit`. There is a next cursor exactly when the page is full,
 * so after an exact fit comes one empty page.
 */
export function pageOf<T extends { readonly id: string; readonly cursor_ts: string }>(
  rows: readonly T[],
  limit: number,
  filters: Filters = {},
): Page<T> {
  const last = rows.length >= limit ? rows[limit - 1] : undefined
  return {
    items: rows.slice(0, limit),
    next_cursor: last === undefined ? null : encodeCursor({ ts: last.cursor_ts, id: last.id }, filters),
  }
}

/** Drizzle: the instant of a row as a cursor carries it; select it as `cursor_ts`. */
export function cursorInstant(column: SQLWrapper): SQL<string> {
  return sql<string>`to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`
}

/** Drizzle: rows after the position in `order by created_at desc, id desc`; undefined without one. */
export function after(createdAt: SQLWrapper, id: SQLWrapper, position: Position | null): SQL | undefined {
  if (position === null) return undefined
  return sql`(${createdAt}, ${id}) < (${position.ts}::timestamptz, ${position.id}::text)`
}

function parse(cursor: string): Record<string, unknown> | null {
  if (cursor.length > MAX_CURSOR_LENGTH || !/^[A-Za-z0-9_-]+$/.test(cursor)) return null
  try {
    const body: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'))
    return typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : null
  } catch {
    return null
  }
}

const isInstant = (ts: string): boolean => instantPattern.test(ts) && isRealDate(ts)

function fingerprint(filters: Filters): string | null {
  const present = Object.entries(filters).filter(([, value]) => value !== undefined && value !== null)
  if (present.length === 0) return null
  return createHash('sha256')
    .update(canonicalJson(Object.fromEntries(present)))
    .digest('base64url')
    .slice(0, 12)
}

function invalidCursor(): CaracalError {
  return new CaracalError('invalid_cursor', {
    status: 400,
    message: 'The cursor is not valid for this list.',
  })
}
