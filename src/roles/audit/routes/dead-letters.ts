/** `/api/audit/dlq…` (audit-and-events §7.2). */
import type { Hono } from 'hono'
import { errorOf } from '../../../platform/http/errors/registry.ts'
import { parseBody, parseQuery, parseWith } from '../../../platform/http/validate.ts'
import * as v from '../../../platform/schema.ts'
import { claimedEvent, type DeadLetters } from '../dead-letters.ts'
import { limit } from './inputs.ts'

/** The halves of an entry id have 64 bits. */
const largest = 2n ** 64n - 1n
const inRange = (id: string) => (id.match(/\d+/g) ?? []).every((half) => BigInt(half) <= largest)

const entryId = v.pipe(
  v.string(),
  v.regex(/^\d{1,20}-\d{1,20}$/, 'must be the id of an entry'),
  v.check(inRange, 'must be the id of an entry'),
)

const listQuery = v.object({
  limit,
  start: v.optional(
    v.pipe(
      v.string(),
      v.regex(/^(?:-|\(?\d{1,20}(?:-\d{1,20})?)$/, 'must be the id of an entry'),
      v.check(inRange, 'must be the id of an entry'),
    ),
    '-',
  ),
})
const replayQuery = v.object({ limit })
const replayBody = v.optional(
  v.strictObject({
    ids: v.optional(v.pipe(v.array(entryId), v.maxLength(1000))),
  }),
)

export function mountDeadLetters(app: Hono, deadLetters: DeadLetters): void {
  app.get('/api/audit/dlq', async (c) => {
    const asked = parseQuery(c, listQuery)
    const entries = await deadLetters.list(asked.start, asked.limit)
    return c.json({ entries: entries.map(deadLetters.view), next_cursor: entries.at(-1)?.id ?? '' })
  })

  app.get('/api/audit/dlq/:id', async (c) => {
    const id = parseWith(entryId, c.req.param('id'), 'invalid_params')
    const entry = await deadLetters.get(id)
    if (entry === null) throw errorOf('resource_not_found')
    return c.json({ ...deadLetters.view(entry), source_event: claimedEvent(entry), fields: entry.fields })
  })

  app.post('/api/audit/dlq/replay', async (c) => {
    const asked = parseQuery(c, replayQuery)
    const body = await parseBody(c, replayBody, { emptyJson: 'absent' })
    return c.json(await deadLetters.replay(asked.limit, body?.ids === undefined ? null : new Set(body.ids)))
  })
}
