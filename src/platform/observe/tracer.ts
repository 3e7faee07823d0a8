/**
 * Spans of this process (storage-and-operations §14.2). A role holds a `Tracer` or `null`:
 * without an exporter there is nothing to call, and a request pays for nothing.
 * Parents are handed on explicitly; attributes never hold secrets, queries or bodies.
 */
import { randomBytes } from 'node:crypto'
import type { TraceContext } from './trace.ts'

export type SpanKind = 'internal' | 'server' | 'client' | 'consumer'

export type SpanValue = string | number | boolean

export interface Span {
  /** What children name as their parent and what travels in `traceparent`. */
  readonly trace: TraceContext
  set(name: string, value: SpanValue): void
  /** Ends it once; a reason marks it as failed. */
  end(failure?: string): void
}

export interface SpanStart {
  readonly kind: SpanKind
  /** Absent or `null`: a trace of its own. */
  readonly parent?: TraceContext | null
  readonly attributes?: Readonly<Record<string, SpanValue>>
}

export interface Tracer {
  start(name: string, options: SpanStart): Span
}

export interface FinishedSpan {
  readonly traceId: string
  readonly spanId: string
  /** `''` for a root. */
  readonly parentSpanId: string
  readonly name: string
  readonly kind: SpanKind
  /** Unix nanoseconds. */
  readonly startedAt: bigint
  readonly endedAt: bigint
  readonly attributes: ReadonlyMap<string, SpanValue>
  /** `null` when it went well. */
  readonly failure: string | null
}

/** Longest text of an attribute and of a name; the rest is cut. */
const longestText = 1024

/** Ids come out of one pool: asking the system for each would cost more than the span. */
const poolBytes = 4096
let pool = Buffer.alloc(0)
let used = 0

function randomHex(bytes: number): string {
  if (used + bytes > pool.length) {
    pool = randomBytes(poolBytes)
    used = 0
  }
  used += bytes
  return pool.toString('hex', used - bytes, used)
}

const nowNanos = (): bigint => BigInt(Math.round((performance.timeOrigin + performance.now()) * 1e6))

const cut = (value: SpanValue): SpanValue =>
  typeof value === 'string' && value.length > longestText ? value.slice(0, longestText) : value

/** A tracer that hands each finished span to `take`. */
export function createTracer(take: (span: FinishedSpan) => void): Tracer {
  return {
    start(name, { kind, parent, attributes }) {
      const traceId = parent?.traceId ?? randomHex(16)
      const spanId = randomHex(8)
      const startedAt = nowNanos()
      const values = new Map<string, SpanValue>()
      for (const key in attributes) values.set(key, cut(attributes[key] as SpanValue))
      let ended = false
      return {
        trace: { traceId, spanId, flags: '01' },
        set(key, value) {
          values.set(key, cut(value))
        },
        end(failure) {
          if (ended) return
          ended = true
          take({
            traceId,
            spanId,
            parentSpanId: parent?.spanId ?? '',
            name: String(cut(name)),
            kind,
            startedAt,
            endedAt: nowNanos(),
            attributes: values,
            failure: failure ?? null,
          })
        },
      }
    },
  }
}

/** The header that makes the receiver's spans children of this one. */
export const traceparentOf = ({ traceId, spanId, flags }: TraceContext): string =>
  `00-${traceId}-${spanId}-${flags}`
