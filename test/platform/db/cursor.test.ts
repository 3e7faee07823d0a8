import { desc, sql as fragment } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  after,
  cursorInstant,
  decodeCursor,
  encodeCursor,
  type Page,
  pageOf,
} from '../../../src/platform/db/cursor.ts'
import { zones } from '../../../src/platform/db/schema/index.ts'
import { createTestDatabase, type TestDatabase } from '../../fixtures/database.ts'

const position = { ts: '2026-05-21T12:00:01.234567Z', id: '0190f3c2-0000-7000-8000-00000000000a' }
const raw = (body: unknown) => Buffer.from(JSON.stringify(body)).toString('base64url')

describe('cursor', () => {
  test('comes back as it was', () => {
    expect(decodeCursor(encodeCursor(position))).toEqual(position)
    expect(decodeCursor(encodeCursor(position, { status: 'active' }), { status: 'active' })).toEqual(position)
  })

  test('reads a v1 cursor with milliseconds', () => {
    expect(decodeCursor(raw({ ts: '2026-05-21T12:00:01.234Z', id: 'x' })).ts).toBe('2026-05-21T12:00:01.234Z')
  })

  test.each([
    ['not base64url', 'a b'],
    ['not JSON', Buffer.from('nope').toString('base64url')],
    ['a bare value', raw('text')],
    ['no id', raw({ ts: position.ts })],
    ['an empty id', raw({ ts: position.ts, id: '' })],
    ['a NUL in the id', raw({ ts: position.ts, id: 'a\0b' })],
    ['no instant', raw({ id: 'x' })],
    ['an instant that is not one', raw({ ts: '2026-02-30T00:00:00Z', id: 'x' })],
    ['SQL for an instant', raw({ ts: "now()'", id: 'x' })],
    ['too long', raw({ ts: position.ts, id: 'x'.repeat(600) })],
    ['empty', ''],
  ])('refuses %s', (_, cursor) => {
    expect(() => decodeCursor(cursor)).toThrow(
      expect.objectContaining({ code: 'invalid_cursor', status: 400 }),
    )
  })

  test('is good only for its own filters', () => {
    const cursor = encodeCursor(position, { status: 'active', absent: undefined })
    expect(decodeCursor(cursor, { status: 'active' })).toEqual(position)
    for (const filters of [{}, { status: 'revoked' }, { status: 'active', subject: 's' }]) {
      expect(() => decodeCursor(cursor, filters)).toThrow(expect.objectContaining({ code: 'invalid_cursor' }))
    }
  })
})

describe('pages', () => {
  let database: TestDatabase
  const total = 25
  beforeAll(async () => {
    database = await createTestDatabase()
    // Three rows for each microsecond, all in one millisecond.
    await database.db.sql`
      insert into zones (id, name, slug, created_at)
      select 'z' || lpad(n::text, 3, '0'), 'n', 's' || n, '2026-05-21T12:00:01.234Z'::timestamptz + (n / 3) * interval '1 microsecond'
      from generate_series(1, ${total}::int) as n`
  })
  afterAll(() => database[Symbol.asyncDispose]())

  async function page(
    cursor: string | null,
    limit: number,
  ): Promise<Page<{ id: string; cursor_ts: string }>> {
    const from = cursor === null ? null : decodeCursor(cursor)
    const rows = await database.db.orm
      .select({ id: zones.id, cursor_ts: cursorInstant(zones.createdAt) })
      .from(zones)
      .where(after(zones.createdAt, zones.id, from))
      .orderBy(desc(zones.createdAt), desc(zones.id))
      .limit(limit)
    return pageOf(rows, limit)
  }

  test.each([1, 4, 5, 24, 25, 26])('limit %d shows every row once, newest first', async (limit) => {
    const seen: string[] = []
    let cursor: string | null = null
    let pages = 0
    do {
      const { items, next_cursor }: Page<{ id: string; cursor_ts: string }> = await page(cursor, limit)
      seen.push(...items.map((item) => item.id))
      cursor = next_cursor
      pages += 1
    } while (cursor !== null)
    expect(seen).toEqual([...Array(total).keys()].map((n) => `z${String(total - n).padStart(3, '0')}`))
    // An exact fit is followed by one empty page.
    expect(pages).toBe(Math.floor(total / limit) + 1)
  })

  test('the raw form selects and compares the same', async () => {
    const [row] = await database.db.sql<{ ts: string }[]>`
      select to_char(created_at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as ts from zones where id = 'z010'`
    const [same] = await database.db.orm.execute<{ ts: string }>(
      fragment`select ${cursorInstant(zones.createdAt)} as ts from ${zones} where ${zones.id} = 'z010'`,
    )
    expect(row?.ts).toBe('2026-05-21T12:00:01.234003Z')
    expect(same?.ts).toBe(row?.ts)
    const older = await database.db.sql`
      select count(*)::int as n from zones where (created_at, id) < (${row?.ts ?? ''}::timestamptz, ${'z010'})`
    expect(older[0]?.n).toBe(9)
  })
})
