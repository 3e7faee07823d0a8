import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { keyset, type Page } from '../../../src/roles/control/store/page.ts'
import { createTestDatabase, type TestDatabase } from '../../fixtures/database.ts'

let database: TestDatabase
const total = 25
beforeAll(async () => {
  database = await createTestDatabase()
  // Three rows for each microsecond, all in one millisecond.
  await database.db.sql`
    insert into zones (id, name, slug, created_at)
    select 'z' || lpad(n::text, 3, '0'), 'n', 's' || n,
           '2026-05-21T12:00:01.234Z'::timestamptz + (n / 3) * interval '1 microsecond'
    from generate_series(1, ${total}::int) as n`
})
afterAll(() => database[Symbol.asyncDispose]())

async function page(
  cursor: string | null,
  limit: number,
  filters: readonly unknown[] = ['zones'],
): Promise<Page<{ id: string }>> {
  const { sql } = database.db
  const keys = keyset(sql, { limit, cursor: cursor ?? undefined }, filters)
  return keys.page(
    await sql<{ id: string; cursor_ts: string }[]>`
      select id, ${keys.position} from zones where ${keys.after} ${keys.tail}`,
  )
}

test.each([1, 4, 5, 24, 25, 26])('limit %d shows every row once, newest first', async (limit) => {
  const seen: string[] = []
  let cursor: string | null = null
  let pages = 0
  do {
    const { items, next_cursor }: Page<{ id: string }> = await page(cursor, limit)
    seen.push(...items.map((item) => item.id))
    cursor = next_cursor
    pages += 1
  } while (cursor !== null)
  expect(seen).toEqual([...Array(total).keys()].map((n) => `z${String(total - n).padStart(3, '0')}`))
  // An exact fit is followed by one empty page.
  expect(pages).toBe(Math.floor(total / limit) + 1)
})

test('a row is answered without what the cursor is made of', async () => {
  expect((await page(null, 1)).items).toEqual([{ id: 'z025' }])
})

describe('a cursor', () => {
  const position = { ts: '2026-05-21T12:00:01.234567Z', id: 'z010' }
  const raw = (body: unknown) => Buffer.from(JSON.stringify(body)).toString('base64url')
  const refusal = expect.objectContaining({ code: 'invalid_cursor', status: 400 })

  test('of v1, with milliseconds and without filters, is read', async () => {
    const { items } = await page(raw({ ts: '2026-05-21T12:00:01.235Z', id: 'x' }), 1)
    expect(items).toEqual([{ id: 'z025' }])
  })

  test.each([
    ['not base64url', 'a b'],
    ['not JSON', Buffer.from('nope').toString('base64url')],
    ['a bare value', raw('text')],
    ['null', raw(null)],
    ['no id', raw({ ts: position.ts })],
    ['a NUL in the id', raw({ ts: position.ts, id: 'a\0b' })],
    ['no instant', raw({ id: 'x' })],
    ['an instant that is not one', raw({ ts: '2026-02-30T00:00:00Z', id: 'x' })],
    ['SQL for an instant', raw({ ts: "now()'", id: 'x' })],
    ['too long', raw({ ts: position.ts, id: 'x'.repeat(600) })],
    ['empty', ''],
  ])('is refused: %s', async (_, cursor) => {
    await expect(page(cursor, 1)).rejects.toEqual(refusal)
  })

  test('is good only for its own list', async () => {
    const { next_cursor } = await page(null, 1, ['zones', 'active'])
    expect((await page(next_cursor, 1, ['zones', 'active'])).items).toEqual([{ id: 'z024' }])
    for (const filters of [['zones'], ['zones', 'archived'], ['zones', 'active', 's']]) {
      await expect(page(next_cursor, 1, filters)).rejects.toEqual(refusal)
    }
  })
})
