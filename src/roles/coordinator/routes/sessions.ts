/** `/zones/:zoneId/agents`: HTTP in, HTTP out. */
import type { Context, Hono } from 'hono'
import { requestContext } from '../../../platform/http/request-context.ts'
import { parseBody, parseQuery, pathIds } from '../../../platform/http/validate.ts'
import { startBody, terminateBody, terminateQuery } from '../bodies.ts'
import type { Caller } from '../caller.ts'
import { maySpawnFor } from '../caller.ts'
import type { CoordinatorContext } from '../deps.ts'
import { readIdempotencyKey } from '../idempotency.ts'
import { refuse } from '../refusal.ts'
import { startSession } from '../start-session.ts'
import { terminateSession } from '../terminate-session.ts'

export function sessionRoutes(app: Hono, context: CoordinatorContext, caller: (c: Context) => Caller): void {
  app.post('/zones/:zoneId/agents', async (c) => {
    const body = await parseBody(c, startBody)
    const who = caller(c)
    const subjectSessionId = body.subject_session_id ?? body.session_sid
    if (subjectSessionId === null && who.authorityRecordId === null)
      throw refuse('subject_session_id_required')
    if (!maySpawnFor(who, body.application_id)) throw refuse('application_ownership_required')
    const key = readIdempotencyKey(c.req.header('idempotency-key'))
    const started = await startSession(context, {
      requestId: requestContext(c).requestId,
      caller: who,
      applicationId: body.application_id,
      subjectSessionId,
      subjectToken: body.subject_token,
      parentId: body.parent_id,
      lifecycle: body.lifecycle,
      labels: body.labels ?? body.capabilities ?? [],
      ttlSeconds: body.lifecycle === 'service' ? null : (body.ttl_seconds ?? 3600),
      parentAuthority: body.parent_authority,
      inheritParentEdgeId: body.inherit_parent_edge_id,
      metadata: body.metadata ?? {},
      idempotency:
        key === null ? null : { key, generated: c.req.header('idempotency-key-kind') === 'generated' },
    })
    if (started.replayed) c.header('idempotency-replayed', 'true')
    return c.json(started.body, 201)
  })

  app.delete('/zones/:zoneId/agents/:sessionId', async (c) => {
    const { sessionId } = pathIds(c, 'zoneId', 'sessionId')
    const query = parseQuery(c, terminateQuery)
    const body = await parseBody(c, terminateBody)
    await terminateSession(context, {
      requestId: requestContext(c).requestId,
      caller: caller(c),
      sessionId,
      reason: query.reason,
      leaseGeneration: body.lease_generation ?? null,
    })
    return c.body(null, 204)
  })
}
