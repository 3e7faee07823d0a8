/** storage-and-operations §14.2: one governed call as one trace, from the caller into the upstream. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Caracal } from '../../src/sdk/index.ts'
import { createWorld, openStage, type Stage, type World } from '../acceptance/clients/stage.ts'
import { eventually } from '../fixtures/eventually.ts'
import { type CollectedSpan, type OtlpCollector, startOtlpCollector } from '../fixtures/otlp-collector.ts'

let collector: OtlpCollector
let stage: Stage
let world: World

beforeAll(async () => {
  collector = await startOtlpCollector()
  stage = await openStage({
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_RESOURCE_ATTRIBUTES: 'team=blue',
  })
  world = await createWorld(stage)
}, 60_000)
afterAll(async () => {
  await stage?.[Symbol.asyncDispose]()
  await collector?.[Symbol.asyncDispose]()
})

const caller = { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7' }

async function governedCall(headers: Record<string, string>): Promise<Response> {
  await using caracal = Caracal.fromClientSecret({
    ...world,
    stsUrl: stage.urls.sts,
    coordinatorUrl: stage.urls.coordinator,
    gatewayUrl: stage.urls.gateway,
    resources: [world.resource],
    logger: () => undefined,
  })
  const call = caracal.applicationTransport(world.resource, { scopes: ['x:read'] })
  return await call(caracal.gatewayRequest(world.resource, '/private/path?secret=1').url, { headers })
}

const named = (spans: readonly CollectedSpan[], name: string): CollectedSpan => {
  const found = spans.find((span) => span.name === name)
  if (found === undefined) throw new Error(`no span ${name} among ${spans.map((one) => one.name).join(', ')}`)
  return found
}

describe('a governed call', () => {
  it('is one trace: hop, exchange, policy, upstream', async () => {
    const traceparent = `00-${caller.traceId}-${caller.spanId}-01`
    expect((await governedCall({ traceparent })).status).toBe(200)
    const upstream = await eventually(
      () =>
        collector.spans.find(
          ({ name, traceId }) => name === 'caracal.gateway.upstream' && traceId === caller.traceId,
        ) ?? null,
      { timeoutMs: 15_000 },
    )
    const spans = collector.spans.filter(({ traceId }) => traceId === caller.traceId)
    const hop = named(spans, 'caracal.gateway.http')
    expect(hop).toMatchObject({
      service: 'caracal-gateway',
      parentSpanId: caller.spanId,
      kind: 2,
      failed: false,
      attributes: {
        'http.request.method': 'GET',
        'http.response.status_code': 200,
        'caracal.zone_id': world.zoneId,
        'caracal.resource': world.resource,
      },
    })
    const asked = named(spans, 'caracal.gateway.exchange')
    const exchange = spans.find(
      ({ name, attributes }) => name === 'caracal.sts.exchange' && attributes['caracal.for_gateway'] === true,
    )
    const policy = spans.find(
      ({ name, parentSpanId }) => name === 'caracal.sts.policy' && parentSpanId === exchange?.spanId,
    )
    expect(asked.parentSpanId).toBe(hop.spanId)
    expect(exchange).toMatchObject({ service: 'caracal-sts', parentSpanId: asked.spanId })
    expect(policy?.attributes).toMatchObject({
      'caracal.decision': 'allow',
      'caracal.resource': world.resource,
    })
    expect(upstream.parentSpanId).toBe(hop.spanId)
    expect(stage.upstream.seen.at(-1)?.headers.traceparent).toBe(`00-${caller.traceId}-${upstream.spanId}-01`)
    expect(JSON.stringify(spans, (_, value) => (typeof value === 'bigint' ? '' : value))).not.toMatch(
      /private|secret=1/,
    )
  })

  it('has its evidence and its other calls traced too', async () => {
    await eventually(() => collector.spans.some(({ name }) => name === 'caracal.audit.ingest'), {
      timeoutMs: 15_000,
    })
    const services = new Set(collector.spans.map(({ service }) => service))
    expect([...services].sort()).toEqual([
      'caracal-api',
      'caracal-audit',
      'caracal-coordinator',
      'caracal-gateway',
      'caracal-sts',
    ])
    expect(collector.spans.map(({ name }) => name)).toContain(`POST /zones/${world.zoneId}/agents`)
    expect(collector.spans.map(({ name }) => name)).toContain('POST /oauth/2/token')
    expect(collector.spans.some(({ name }) => /health|ready|metrics/.test(name))).toBe(false)
  })

  it('is counted in the metrics of each role', async () => {
    const text = await (await fetch(`${stage.urls.gateway}/metrics`)).text()
    expect(Number(/^caracal_trace_spans_exported_total (\d+)/m.exec(text)?.[1])).toBeGreaterThan(0)
    expect(text).toContain('caracal_trace_spans_dropped_total 0')
  })

  it('a refused call is no failed span', async () => {
    const refused = await fetch(`${stage.urls.gateway}/x`, {
      headers: { authorization: 'Bearer a.b.c', 'x-caracal-resource': world.resource },
    })
    expect(refused.status).toBe(401)
    const span = await eventually(
      () =>
        collector.spans.find(
          ({ name, attributes }) =>
            name === 'caracal.gateway.http' && attributes['http.response.status_code'] === 401,
        ) ?? null,
      { timeoutMs: 15_000 },
    )
    expect(span).toMatchObject({ failed: false, parentSpanId: '' })
    expect(span.attributes).not.toHaveProperty('caracal.zone_id')
  })
})
