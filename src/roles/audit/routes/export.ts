/** `GET /api/audit/export`: a zone's evidence as NDJSON or CSV, streamed. */
import { Readable } from 'node:stream'
import type { Hono } from 'hono'
import type { Database } from '../../../platform/db/port.ts'
import { parseQuery } from '../../../platform/http/validate.ts'
import * as v from '../../../platform/schema.ts'
import { exportZone } from '../export/zone-export.ts'
import { instant, zone } from './inputs.ts'

const query = v.object({
  zone_id: zone,
  since: v.optional(instant),
  until: v.optional(instant),
  format: v.optional(v.picklist(['ndjson', 'csv']), 'ndjson'),
})

const mediaTypes = { ndjson: 'application/x-ndjson', csv: 'text/csv; charset=utf-8' } as const

export function mountExport(app: Hono, db: Database): void {
  app.get('/api/audit/export', (c) => {
    const { zone_id: zoneId, since, until, format } = parseQuery(c, query)
    c.header('content-type', mediaTypes[format])
    c.header(
      'content-disposition',
      `attachment; filename="audit-${zoneId.replaceAll(/[^A-Za-z0-9_.-]/g, '_')}.${format}"`,
    )
    // A read that fails half way breaks the connection: a short file must not look like a whole one.
    const text = Readable.from(exportZone(db, { zoneId, since, until }, format), { objectMode: false })
    return c.body(Readable.toWeb(text) as ReadableStream)
  })
}
