/**
 * `GET /api/audit/tail`: a zone's events as they are chained, as server-sent events. The id of an
 * event is its sequence number, which is commit order, so `Last-Event-ID` resumes without loss.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Hono } from 'hono'
import { streamSSE } from 'hono/streaming'
import type { Database } from '../../../platform/db/port.ts'
import { errorOf } from '../../../platform/http/errors/registry.ts'
import { requestContext } from '../../../platform/http/request-context.ts'
import { parseQuery, parseWith } from '../../../platform/http/validate.ts'
import * as v from '../../../platform/schema.ts'
import { headSequence, readEvents } from '../store/read-events.ts'
import { searchElement } from '../wire-event.ts'
import { sequence, zone } from './inputs.ts'

const pollMs = 500
const heartbeatMs = 15_000
const pageSize = 500
/** Each open tail asks the head twice a second. */
const maxTails = 64

const query = v.object({ zone_id: zone, after: v.optional(sequence) })

/** `ended` closes every tail: the role stops. */
export function mountTail(app: Hono, db: Database, ended: AbortSignal): void {
  let open = 0
  app.get('/api/audit/tail', async (c) => {
    const { zone_id: zoneId, after } = parseQuery(c, query)
    const lastId = c.req.header('last-event-id')
    const resumed = lastId === undefined ? after : parseWith(sequence, lastId, 'invalid_request')
    if (open >= maxTails || ended.aborted) throw errorOf('service_unavailable')
    open += 1
    const { log } = requestContext(c)
    try {
      const from = resumed ?? (await headSequence(db, zoneId))
      return streamSSE(
        c,
        async (stream) => {
          const gone = new AbortController()
          stream.onAbort(() => gone.abort())
          const signal = AbortSignal.any([gone.signal, ended])
          try {
            await follow(db, zoneId, from, signal, stream)
          } finally {
            open -= 1
          }
        },
        async (error) => log.warn({ err: error, zone_id: zoneId }, 'audit_tail_ended'),
      )
    } catch (error) {
      open -= 1
      throw error
    }
  })
}

interface EventStream {
  writeSSE(message: { id?: string; event?: string; data: string }): Promise<void>
  write(text: string): Promise<unknown>
}

async function follow(
  db: Database,
  zoneId: string,
  from: number,
  signal: AbortSignal,
  stream: EventStream,
): Promise<void> {
  let afterSeq = from
  let quietSince = Date.now()
  await stream.write(': following\n\n')
  while (!signal.aborted) {
    const rows =
      (await headSequence(db, zoneId)) > afterSeq
        ? await readEvents(db, { zoneId, afterSeq, limit: pageSize })
        : []
    for (const row of rows) {
      if (signal.aborted) return
      afterSeq = row.chainSeq
      await stream.writeSSE({
        id: String(row.chainSeq),
        event: 'audit',
        data: searchElement(row),
      })
    }
    if (rows.length > 0) quietSince = Date.now()
    else await sleep(pollMs, undefined, { signal }).catch(() => undefined)
    if (Date.now() - quietSince >= heartbeatMs) {
      quietSince = Date.now()
      await stream.write(': \n\n')
    }
  }
}
