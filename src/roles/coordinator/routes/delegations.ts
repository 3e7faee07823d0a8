/** `/zones/:zoneId/delegations`: HTTP in, HTTP out. */
import type { Context, Hono } from 'hono'
import { requestContext } from '../../../platform/http/request-context.ts'
import { parseBody } from '../../../platform/http/validate.ts'
import { delegateBody, isSeedForm } from '../bodies.ts'
import type { Caller } from '../caller.ts'
import { createDelegation } from '../delegate.ts'
import type { CoordinatorContext } from '../deps.ts'
import { readIdempotencyKey } from '../idempotency.ts'

export function delegationRoutes(
  app: Hono,
  context: CoordinatorContext,
  caller: (c: Context) => Caller,
): void {
  app.post('/zones/:zoneId/delegations', async (c) => {
    const body = await parseBody(c, delegateBody)
    const seedForm = isSeedForm(body)
    const merged = { ...body.constraints_json, ...body.constraints }
    // The seed may carry the edge's scopes among its constraints; they never are one.
    const { scopes: seedScopes, ...rest } = merged
    const takeScopes = seedForm && body.scopes === undefined && isTextList(seedScopes)
    const delegated = await createDelegation(context, {
      requestId: requestContext(c).requestId,
      caller: caller(c),
      sourceSessionId: body.source_session_id ?? body.source_agent_id ?? '',
      targetSessionId: body.target_session_id ?? body.target_agent_id ?? '',
      issuerApplicationId: body.issuer_application_id ?? null,
      receiverApplicationId: body.receiver_application_id ?? null,
      parentEdgeId: body.parent_edge_id,
      resourceId: body.resource_id,
      scopes: takeScopes ? seedScopes : (body.scopes ?? []),
      constraints: takeScopes ? rest : merged,
      expiresAt: body.expires_at,
      ttlSeconds: body.ttl_seconds,
      seedForm,
      idempotencyKey: readIdempotencyKey(c.req.header('idempotency-key')),
    })
    if (delegated.replayed) c.header('idempotency-replayed', 'true')
    return c.json(delegated.body, 201)
  })
}

function isTextList(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string' && item !== '')
}
