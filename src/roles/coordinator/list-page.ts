import { pageOf } from '../../platform/http/list-envelope.ts'
import { refuse } from './refusal.ts'
import type { PageRequest } from './store/page.ts'

/** `limit` and `cursor` of a list query. */
export const pageRequest = (query: {
  readonly limit: number
  readonly cursor?: string | undefined
}): PageRequest => ({ limit: query.limit, cursor: query.cursor ?? null })

/** The list envelope. Throws 400 `invalid_cursor` for rows that are null. */
export function renderPage<Row extends { readonly id: string }>(
  rows: readonly Row[] | null,
  limit: number,
  view: (row: Row) => Record<string, unknown>,
): Record<string, unknown> {
  if (rows === null) throw refuse('invalid_cursor')
  const { items, next_cursor } = pageOf(rows, limit, (last) => last.id)
  return { items: items.map(view), next_cursor }
}
