/** W3C Trace Context: what a caller's header names (storage-and-operations §14.2). */
export interface TraceContext {
  /** 32 lower-case hex characters. */
  readonly traceId: string
  /** The caller's span, 16 lower-case hex characters. */
  readonly spanId: string
  /** 2 lower-case hex characters. */
  readonly flags: string
}

const pattern = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/

/** The trace a `traceparent` header names, or `null` when it is absent or malformed. */
export function parseTraceparent(header: string | null | undefined): TraceContext | null {
  if (!header) return null
  const match = pattern.exec(header.trim())
  if (!match) return null
  const [, version, traceId, spanId, flags, rest] = match as unknown as [
    string,
    string,
    string,
    string,
    string,
    string?,
  ]
  if (version === 'ff' || (version === '00' && rest !== undefined)) return null
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return null
  return { traceId, spanId, flags }
}
