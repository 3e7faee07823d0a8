/**
 * `ExportTraceServiceRequest` of OTLP 1.x in its two HTTP encodings. Only the fields we
 * send are here; the numbers are those of opentelemetry-proto.
 */
import type { FinishedSpan, SpanKind, SpanValue } from './tracer.ts'

export interface SpanGroup {
  /** Attributes of the resource, `service.name` first. */
  readonly resource: ReadonlyMap<string, SpanValue>
  readonly spans: readonly FinishedSpan[]
}

const scopeName = 'caracal'
const kinds: Readonly<Record<SpanKind, number>> = { internal: 1, server: 2, client: 3, consumer: 5 }
const statusError = 2

/** `http/json`: ids in hexadecimal, 64-bit numbers as text. */
export function encodeJson(groups: readonly SpanGroup[]): Buffer {
  const value = (one: SpanValue): Record<string, unknown> => {
    if (typeof one === 'string') return { stringValue: one }
    if (typeof one === 'boolean') return { boolValue: one }
    return Number.isSafeInteger(one) ? { intValue: String(one) } : { doubleValue: one }
  }
  const attributes = (of: ReadonlyMap<string, SpanValue>) =>
    [...of].map(([key, one]) => ({ key, value: value(one) }))
  return Buffer.from(
    JSON.stringify({
      resourceSpans: groups.map(({ resource, spans }) => ({
        resource: { attributes: attributes(resource) },
        scopeSpans: [
          {
            scope: { name: scopeName },
            spans: spans.map((span) => ({
              traceId: span.traceId,
              spanId: span.spanId,
              ...(span.parentSpanId === '' ? {} : { parentSpanId: span.parentSpanId }),
              name: span.name,
              kind: kinds[span.kind],
              startTimeUnixNano: String(span.startedAt),
              endTimeUnixNano: String(span.endedAt),
              attributes: attributes(span.attributes),
              ...(span.failure === null ? {} : { status: { code: statusError, message: span.failure } }),
            })),
          },
        ],
      })),
    }),
  )
}

/** `http/protobuf`. */
export function encodeProtobuf(groups: readonly SpanGroup[]): Buffer {
  return Buffer.concat(
    groups.map(({ resource, spans }) =>
      message(1, [
        message(1, attributeFields(1, resource)),
        message(2, [message(1, [text(1, scopeName)]), ...spans.map((span) => message(2, spanFields(span)))]),
      ]),
    ),
  )
}

function spanFields(span: FinishedSpan): Buffer[] {
  return [
    bytes(1, Buffer.from(span.traceId, 'hex')),
    bytes(2, Buffer.from(span.spanId, 'hex')),
    ...(span.parentSpanId === '' ? [] : [bytes(4, Buffer.from(span.parentSpanId, 'hex'))]),
    text(5, span.name),
    Buffer.concat([tag(6, 0), varint(BigInt(kinds[span.kind]))]),
    fixed64(7, span.startedAt),
    fixed64(8, span.endedAt),
    ...attributeFields(9, span.attributes),
    ...(span.failure === null
      ? []
      : [message(15, [text(2, span.failure), Buffer.concat([tag(3, 0), varint(BigInt(statusError))])])]),
  ]
}

function attributeFields(field: number, of: ReadonlyMap<string, SpanValue>): Buffer[] {
  return [...of].map(([key, value]) => message(field, [text(1, key), message(2, [anyValue(value)])]))
}

function anyValue(value: SpanValue): Buffer {
  if (typeof value === 'string') return text(1, value)
  if (typeof value === 'boolean') return Buffer.concat([tag(2, 0), varint(value ? 1n : 0n)])
  // Negative int64 take ten bytes, as two's complement of 64 bits.
  if (Number.isSafeInteger(value))
    return Buffer.concat([tag(3, 0), varint(BigInt.asUintN(64, BigInt(value)))])
  const double = Buffer.alloc(8)
  double.writeDoubleLE(value)
  return Buffer.concat([tag(4, 1), double])
}

const tag = (field: number, wireType: number): Buffer => varint(BigInt((field << 3) | wireType))

function varint(value: bigint): Buffer {
  const out: number[] = []
  let rest = value
  while (rest > 0x7fn) {
    out.push(Number(rest & 0x7fn) | 0x80)
    rest >>= 7n
  }
  out.push(Number(rest))
  return Buffer.from(out)
}

const bytes = (field: number, value: Buffer): Buffer =>
  Buffer.concat([tag(field, 2), varint(BigInt(value.length)), value])

const text = (field: number, value: string): Buffer => bytes(field, Buffer.from(value))

const message = (field: number, fields: readonly Buffer[]): Buffer => bytes(field, Buffer.concat(fields))

function fixed64(field: number, value: bigint): Buffer {
  const out = Buffer.alloc(8)
  out.writeBigUInt64LE(value)
  return Buffer.concat([tag(field, 1), out])
}
