import pino from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  createTraceExporter,
  resourceAttributes,
  type TraceExporter,
  type TraceExporterOptions,
} from '../../../src/platform/observe/otlp-exporter.ts'
import { traceparentOf } from '../../../src/platform/observe/tracer.ts'
import { eventually } from '../../fixtures/eventually.ts'
import { type OtlpCollector, startOtlpCollector } from '../../fixtures/otlp-collector.ts'

let collector: OtlpCollector
let open: TraceExporter[]
beforeEach(async () => {
  collector = await startOtlpCollector()
  open = []
})
afterEach(async () => {
  for (const one of open) await one[Symbol.asyncDispose]()
  await collector[Symbol.asyncDispose]()
})

function exporter(options: Partial<TraceExporterOptions> = {}): TraceExporter {
  const one = createTraceExporter({
    endpoint: collector.url,
    protocol: 'http/json',
    resource: resourceAttributes('team=blue%20one,broken,service.name=no'),
    log: pino({ level: 'silent' }),
    intervalMs: 20,
    ...options,
  })
  open.push(one)
  return one
}

describe.each(['http/json', 'http/protobuf'] as const)('%s', (protocol) => {
  it('carries ids, names, times, every kind of value and what failed', async () => {
    const tracer = exporter({ protocol }).tracer('caracal-sts')
    const began = BigInt(Date.now()) * 1_000_000n
    const parent = tracer.start('POST /oauth/2/token', {
      kind: 'server',
      attributes: { text: 'zwölf', whole: 200, negative: -7, fraction: 0.25, truth: true },
    })
    const child = tracer.start('caracal.sts.exchange', { kind: 'internal', parent: parent.trace })
    child.end('it broke')
    child.end()
    parent.end()
    const spans = await eventually(() => (collector.spans.length === 2 ? collector.spans : null))
    const [inner, outer] = spans
    expect(outer).toMatchObject({
      service: 'caracal-sts',
      traceId: parent.trace.traceId,
      spanId: parent.trace.spanId,
      parentSpanId: '',
      name: 'POST /oauth/2/token',
      kind: 2,
      attributes: { text: 'zwölf', whole: 200, negative: -7, fraction: 0.25, truth: true },
      failed: false,
    })
    expect(inner).toMatchObject({
      traceId: parent.trace.traceId,
      parentSpanId: parent.trace.spanId,
      kind: 1,
      failed: true,
    })
    for (const { startedAt, endedAt } of spans) {
      expect(endedAt >= startedAt).toBe(true)
      const off = startedAt - began
      expect(off > -1_000_000_000n && off < 10_000_000_000n).toBe(true)
    }
    expect(collector.paths).toEqual(['/v1/traces'])
  })
})

it('an endpoint that names the path already is used as it is', async () => {
  const tracer = exporter({ endpoint: `${collector.url}/v1/traces/` }).tracer('x')
  tracer.start('a', { kind: 'internal' }).end()
  await eventually(() => collector.spans.length === 1)
  expect(collector.paths).toEqual(['/v1/traces'])
})

it('continues a trace and says so in the header', () => {
  const tracer = exporter().tracer('x')
  const caller = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), flags: '00' }
  const { trace } = tracer.start('a', { kind: 'server', parent: caller })
  expect(traceparentOf(trace)).toMatch(/^00-a{32}-(?!b{16})[0-9a-f]{16}-01$/)
})

it('a collector that hangs costs spans, and the queue never grows past its limit', async () => {
  collector.hangs = true
  const traces = exporter({ maxQueue: 50, maxBatch: 10, timeoutMs: 100 })
  const tracer = traces.tracer('x')
  for (let n = 0; n < 500; n += 1) tracer.start(`span ${n}`, { kind: 'internal' }).end()
  expect(traces.stats().queued).toBeLessThanOrEqual(50)
  await eventually(() => traces.stats().failures > 0)
  expect(traces.stats().queued).toBeLessThanOrEqual(50)
  const { dropped } = traces.stats()
  expect(dropped).toBeGreaterThanOrEqual(440)
  collector.hangs = false
  await eventually(() => traces.stats().queued === 0)
  const { exported } = traces.stats()
  expect(exported + traces.stats().dropped).toBe(500)
  // A batch whose answer came too late was taken all the same, and is sent again.
  expect(new Set(collector.spans.map(({ spanId }) => spanId)).size).toBeGreaterThanOrEqual(exported)
})

it('tries again what may succeed later, and drops what never will', async () => {
  const traces = exporter()
  const tracer = traces.tracer('x')
  collector.status = 503
  tracer.start('later', { kind: 'internal' }).end()
  await eventually(() => traces.stats().failures >= 2)
  collector.status = 200
  await eventually(() => collector.spans.length === 1)
  collector.status = 400
  tracer.start('never', { kind: 'internal' }).end()
  await eventually(() => traces.stats().dropped === 1)
  expect(traces.stats()).toMatchObject({ exported: 1, queued: 0 })
})

it('sends what is left when it ends, and does not wait for a collector that hangs', async () => {
  const traces = exporter({ intervalMs: 60_000 })
  traces.tracer('x').start('last', { kind: 'internal' }).end()
  await traces[Symbol.asyncDispose]()
  expect(collector.spans.map(({ name }) => name)).toEqual(['last'])

  collector.hangs = true
  const hanging = exporter({ intervalMs: 60_000, timeoutMs: 100 })
  hanging.tracer('x').start('lost', { kind: 'internal' }).end()
  const began = performance.now()
  await hanging[Symbol.asyncDispose]()
  expect(performance.now() - began).toBeLessThan(10_000)
  expect(hanging.stats()).toMatchObject({ dropped: 1, queued: 0 })
})
