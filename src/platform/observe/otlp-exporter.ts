/**
 * Sends finished spans to an OTLP collector over HTTP (storage-and-operations §14.2). Bounded
 * in every direction: spans that do not fit the queue are dropped and counted, one request
 * is under way at a time, each has a deadline, and a collector that refuses or hangs costs
 * spans, never a request of ours.
 */
import type { Logger } from 'pino'
import { encodeJson, encodeProtobuf } from './otlp-encode.ts'
import { createTracer, type FinishedSpan, type SpanValue, type Tracer } from './tracer.ts'

export interface TraceExporterOptions {
  /** `OTEL_EXPORTER_OTLP_ENDPOINT`, with or without `/v1/traces`. */
  readonly endpoint: string
  readonly protocol: 'http/protobuf' | 'http/json'
  /** On every span of the process, besides `service.name`. */
  readonly resource: ReadonlyMap<string, SpanValue>
  readonly log: Logger
  /** Spans held, waiting or under way; default 4096. */
  readonly maxQueue?: number
  /** Default 512. */
  readonly maxBatch?: number
  /** Longest wait of a span that does not fill a batch; default 2 s. */
  readonly intervalMs?: number
  /** Of one request; default 5 s. */
  readonly timeoutMs?: number
}

export interface TraceStats {
  readonly exported: number
  readonly dropped: number
  readonly failures: number
  /** Neither exported nor dropped yet: waiting, or in the request under way. */
  readonly queued: number
}

/** Disposing sends what is queued, within the deadlines of two requests. */
export interface TraceExporter extends AsyncDisposable {
  tracer(service: string): Tracer
  stats(): TraceStats
}

interface Queued {
  readonly service: string
  readonly span: FinishedSpan
}

/** Answers after which the same batch is worth another try (OTLP §Failures). */
const retryable: ReadonlySet<number> = new Set([429, 502, 503, 504])

export function createTraceExporter(options: TraceExporterOptions): TraceExporter {
  const { protocol, resource, log } = options
  const url = tracesUrl(options.endpoint)
  const maxQueue = options.maxQueue ?? 4096
  const maxBatch = options.maxBatch ?? 512
  const intervalMs = options.intervalMs ?? 2000
  const timeoutMs = options.timeoutMs ?? 5000
  const queue: Queued[] = []
  const counts = { exported: 0, dropped: 0, failures: 0 }
  let timer: NodeJS.Timeout | null = null
  let sending: Promise<void> | null = null
  let underWay = 0
  let closed = false
  let failing = false

  const take = (service: string, span: FinishedSpan): void => {
    if (closed || queue.length + underWay >= maxQueue) {
      counts.dropped += 1
      return
    }
    queue.push({ service, span })
    if (queue.length >= maxBatch && !failing) begin()
    else schedule()
  }

  const schedule = (): void => {
    if (timer !== null || sending !== null || closed) return
    timer = setTimeout(begin, intervalMs)
    timer.unref()
  }

  const begin = (): void => {
    if (timer !== null) clearTimeout(timer)
    timer = null
    sending ??= sendAll().finally(() => {
      sending = null
      if (queue.length > 0) schedule()
    })
  }

  /** Sends batch by batch until little is left or the collector fails. */
  async function sendAll(): Promise<void> {
    do {
      if (!(await sendBatch(queue.splice(0, maxBatch), AbortSignal.timeout(timeoutMs)))) return
    } while (queue.length >= maxBatch && !closed)
  }

  async function sendBatch(batch: Queued[], signal: AbortSignal): Promise<boolean> {
    if (batch.length === 0) return true
    underWay = batch.length
    try {
      const response = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': protocol === 'http/json' ? 'application/json' : 'application/x-protobuf' },
        body: new Uint8Array((protocol === 'http/json' ? encodeJson : encodeProtobuf)(grouped(batch))),
        redirect: 'manual',
        signal,
      })
      await response.body?.cancel()
      if (response.ok) {
        counts.exported += batch.length
        if (failing) log.info('trace_export_recovered')
        failing = false
        return true
      }
      failed(batch, retryable.has(response.status), `the collector answered ${response.status}`)
    } catch (error) {
      failed(batch, true, error instanceof Error ? error.name : 'failed')
    } finally {
      underWay = 0
    }
    return false
  }

  function failed(batch: Queued[], again: boolean, reason: string): void {
    counts.failures += 1
    if (again && !closed) queue.unshift(...batch)
    else counts.dropped += batch.length
    if (!failing) log.warn({ reason }, 'trace_export_failed')
    failing = true
  }

  function grouped(batch: readonly Queued[]) {
    const byService = new Map<string, FinishedSpan[]>()
    for (const { service, span } of batch) {
      const spans = byService.get(service)
      if (spans === undefined) byService.set(service, [span])
      else spans.push(span)
    }
    return [...byService].map(([service, spans]) => ({
      resource: new Map<string, SpanValue>([['service.name', service], ...resource]),
      spans,
    }))
  }

  return {
    tracer: (service) => createTracer((span) => take(service, span)),
    stats: () => ({ ...counts, queued: queue.length + underWay }),
    async [Symbol.asyncDispose]() {
      if (timer !== null) clearTimeout(timer)
      timer = null
      closed = true
      await sending
      const deadline = AbortSignal.timeout(timeoutMs)
      while (queue.length > 0 && !deadline.aborted) {
        if (!(await sendBatch(queue.splice(0, maxBatch), deadline))) break
      }
      counts.dropped += queue.length
      queue.length = 0
    },
  }
}

function tracesUrl(endpoint: string): string {
  const base = endpoint.replace(/\/+$/, '')
  return base.endsWith('/v1/traces') ? base : `${base}/v1/traces`
}

/** `OTEL_RESOURCE_ATTRIBUTES`: `k=v,…`, values percent-encoded; what is malformed is left out. */
export function resourceAttributes(list: string | null): ReadonlyMap<string, SpanValue> {
  const attributes = new Map<string, SpanValue>()
  for (const member of (list ?? '').split(',')) {
    const at = member.indexOf('=')
    if (at <= 0) continue
    try {
      attributes.set(member.slice(0, at).trim(), decodeURIComponent(member.slice(at + 1).trim()))
    } catch {
      // Not percent-encoding.
    }
  }
  attributes.delete('service.name')
  return attributes
}
