/** `GET /api/audit/search` (audit-and-events §7.2). */
import type { Hono } from 'hono'
import type { Database } from '../../../platform/db/port.ts'
import { parseQuery } from '../../../platform/http/validate.ts'
import * as v from '../../../platform/schema.ts'
import { readEvents } from '../store/read-events.ts'
import { searchElement } from '../wire-event.ts'
import { instant, limit, sequence, zone } from './inputs.ts'

const dayMs = 86_400_000

const query = v.object({
  zone_id: zone,
  since: v.optional(instant),
  until: v.optional(instant),
  decision: v.optional(v.pipe(v.string(), v.maxLength(64))),
  request_id: v.optional(v.pipe(v.string(), v.maxLength(128))),
  limit,
  cursor: v.optional(sequence, '0'),
})

export function mountSearch(app: Hono, db: Database): void {
  app.get('/api/audit/search', async (c) => {
    const asked = parseQuery(c, query)
    const now = Date.now()
    const rows = await readEvents(db, {
      zoneId: asked.zone_id,
      since: asked.since ?? new Date(now - dayMs).toISOString(),
      until: asked.until ?? new Date(now).toISOString(),
      decision: asked.decision,
      requestId: asked.request_id,
      afterSeq: asked.cursor,
      limit: asked.limit,
    })
    const next = JSON.stringify(String(rows.at(-1)?.chainSeq ?? ''))
    const body = `{"events":[${rows.map(searchElement).join(',')}],"next_cursor":${next}}`
    return c.body(body, { headers: { 'content-type': 'application/json' } })
  })
}
