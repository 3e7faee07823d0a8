/** What is answered without a session mandate: `/v1/verify`, `/stats` and the document. */
import type { Context, Hono } from 'hono'
import { CaracalError } from '../../../platform/errors.ts'
import { readJson } from '../../../platform/http/body.ts'
import { errorEnvelopeSchema, type OpenApiDocument, openApiDocument } from '../../../platform/http/openapi.ts'
import type { OperationEntry } from '../../../platform/http/operation.ts'
import { countRequest } from '../../../platform/http/rate-limit.ts'
import { parseWith } from '../../../platform/http/validate.ts'
import { bearerOf, isOperatorToken } from '../authenticate.ts'
import type { CoordinatorContext } from '../deps.ts'
import { verifyLimit } from '../rate-limits.ts'
import { refuse } from '../refusal.ts'
import type { Totals } from '../totals.ts'
import { presentedToken, verifyBody, verifyMandate } from '../verify-mandate.ts'

export const verifyPath = '/v1/verify'

/** Every refusal of `/v1/verify` also says that nothing was verified. */
export const verifyErrors = (error: CaracalError): Readonly<Record<string, unknown>> => ({
  valid: false,
  error: error.code,
  ...error.body,
})

export function publicRoutes(
  app: Hono,
  context: CoordinatorContext,
  totals: () => Promise<Totals>,
  entries: readonly OperationEntry[],
): void {
  app.post(verifyPath, async (c) => {
    await countRequest(c, verifyLimit(context))
    const request = parseWith(verifyBody, await jsonOf(c), 'invalid_request')
    if (presentedToken(request) === '') throw refuse('missing_token', { status: 400 })
    const claims = await verifyMandate(context, request)
    if (claims === null) throw refuse('token_invalid')
    return c.json({ valid: true, claims })
  })

  app.get('/stats', async (c) => {
    const token = bearerOf(c.req.header('authorization'))
    if (!isOperatorToken(context.settings, token)) throw refuse('operator_token_required')
    return c.json(await stats(context, await totals()))
  })

  let document: OpenApiDocument | null = null
  app.get('/openapi.json', (c) => {
    document ??= describe(entries)
    return c.json(document)
  })
}

async function jsonOf(c: Context): Promise<unknown> {
  try {
    return (await readJson(c)).value
  } catch (error) {
    if (error instanceof CaracalError && error.status === 413) throw error
    throw refuse('invalid_request')
  }
}

async function stats(
  { counts, metrics }: CoordinatorContext,
  { invocations, outbox, receipts }: Totals,
): Promise<Record<string, unknown>> {
  const total = async (name: string): Promise<number> => {
    const metric = await metrics.getSingleMetric(name)?.get()
    return metric?.values[0]?.value ?? 0
  }
  const [emitted, dropped, sampled] = await Promise.all([
    total('caracal_log_emitted_total'),
    total('caracal_log_dropped_total'),
    total('caracal_log_sampled_total'),
  ])
  return {
    invocations: { running: 0, ...invocations },
    outbox,
    idempotency: { ...receipts, outcomes: counts.idempotency },
    ttl_sweeper: counts.ttl_sweeper,
    service_lease_sweeper: counts.service_lease_sweeper,
    retention_cleaner: counts.retention_cleaner,
    log: { emitted, dropped, sampled },
  }
}

const describe = (entries: readonly OperationEntry[]) =>
  openApiDocument(entries, {
    title: 'Caracal Coordinator',
    version: '2',
    servers: [],
    securitySchemes: {
      mandate: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
      operator: { type: 'http', scheme: 'bearer' },
    },
    errorSchema: errorEnvelopeSchema,
  })
