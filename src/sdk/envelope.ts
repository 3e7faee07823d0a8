/**
 * The context on the wire: W3C Trace Context and Baggage (sdk-cli-console §6). Baggage is
 * unsigned: it tells observers who acts, and decides nothing.
 */
import { randomBytes } from 'node:crypto'
import type { CaracalContext } from './context.ts'

const keys = {
  sessionId: 'caracal.agent_session',
  delegationId: 'caracal.delegation_edge',
  parentDelegationId: 'caracal.parent_edge',
  subjectAuthorityRecordId: 'caracal.session',
  hop: 'caracal.hop',
} as const
const ownKeys: ReadonlySet<string> = new Set(Object.values(keys))

const maxBaggageChars = 8192
const maxBaggageMembers = 64
export const maxHop = 10

type Encodable = Pick<
  CaracalContext,
  | 'sessionId'
  | 'delegationId'
  | 'parentDelegationId'
  | 'subjectAuthorityRecordId'
  | 'traceId'
  | 'traceFlags'
  | 'traceState'
  | 'baggage'
> & { readonly hop?: number }

/** Writes traceparent, tracestate and baggage of `context` into `headers`; never `authorization`. */
export function encodeEnvelope(context: Encodable, headers: Headers): void {
  if (parseTraceparent(headers.get('traceparent')) === null) {
    const traceId = isTraceId(context.traceId) ? context.traceId : randomBytes(16).toString('hex')
    headers.set(
      'traceparent',
      `00-${traceId}-${randomBytes(8).toString('hex')}-${context.traceFlags ?? '01'}`,
    )
  }
  if (context.traceState !== undefined && !headers.has('tracestate'))
    headers.set('tracestate', context.traceState)

  const members: Record<string, string | undefined> = {
    ...context.baggage,
    ...parseBaggage(headers.get('baggage')),
  }
  for (const key of ownKeys) delete members[key]
  const ids = [
    ['sessionId', context.sessionId],
    ['delegationId', context.delegationId],
    ['parentDelegationId', context.parentDelegationId],
    ['subjectAuthorityRecordId', context.subjectAuthorityRecordId],
  ] as const
  for (const [name, id] of ids) members[keys[name]] = id
  const hop = context.hop ?? 0
  if (hop > 0 || ids.some(([, id]) => id !== undefined)) members[keys.hop] = String(hop)
  const text = Object.entries(members)
    .filter((entry): entry is [string, string] => entry[1] !== undefined && entry[1] !== '')
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
    .join(',')
  if (text === '') headers.delete('baggage')
  else headers.set('baggage', text)
}

/** Headers as `Headers`, Node's record of lists, or a plain record. */
export type HeaderSource = Headers | Readonly<Record<string, string | readonly string[] | undefined>>

export interface Envelope {
  readonly bearer: string | undefined
  readonly traceId: string | undefined
  readonly traceFlags: string | undefined
  readonly traceState: string | undefined
  readonly sessionId: string | undefined
  readonly delegationId: string | undefined
  readonly parentDelegationId: string | undefined
  readonly subjectAuthorityRecordId: string | undefined
  readonly hop: number
  /** Members that are not Caracal's. */
  readonly baggage: Readonly<Record<string, string>>
}

export function decodeEnvelope(source: HeaderSource): Envelope {
  const read = headerReader(source)
  const trace = parseTraceparent(read('traceparent'))
  const members = parseBaggage(read('baggage'))
  const id = (name: keyof typeof keys) => members[keys[name]] || undefined
  const hop = members[keys.hop] ?? ''
  return {
    bearer: extractBearer(read('authorization')) ?? undefined,
    traceId: trace?.traceId,
    traceFlags: trace?.flags,
    traceState: read('tracestate') ?? undefined,
    sessionId: id('sessionId'),
    delegationId: id('delegationId'),
    parentDelegationId: id('parentDelegationId'),
    subjectAuthorityRecordId: id('subjectAuthorityRecordId'),
    hop: /^\d+$/.test(hop) ? Math.min(Number(hop), maxHop) : 0,
    baggage: Object.fromEntries(Object.entries(members).filter(([name]) => !ownKeys.has(name))),
  }
}

/** The token of an `Authorization: Bearer` header; null without one. */
export function extractBearer(header: string | null | undefined): string | null {
  return /^bearer +(\S+)\s*$/i.exec(header?.trimStart() ?? '')?.[1] ?? null
}

/** W3C Trace Context §3.2; null for anything invalid. */
export function parseTraceparent(header: string | null | undefined): {
  readonly traceId: string
  readonly flags: string
} | null {
  const parts = (header ?? '').trim().split('-')
  const [version = '', traceId = '', spanId = '', flags = ''] = parts
  if (!/^[0-9a-f]{2}$/.test(version) || version === 'ff') return null
  if (parts.length < 4 || (version === '00' && parts.length !== 4)) return null
  if (!isTraceId(traceId) || !/^[0-9a-f]{16}$/.test(spanId) || /^0+$/.test(spanId)) return null
  return /^[0-9a-f]{2}$/.test(flags) ? { traceId, flags } : null
}

export function isTraceId(text: string | undefined): text is string {
  return text !== undefined && /^[0-9a-f]{32}$/.test(text) && !/^0+$/.test(text)
}

/** Too long or too many members: all of it is dropped, as half a list tells lies. */
function parseBaggage(header: string | null | undefined): Record<string, string> {
  const text = header ?? ''
  const members: Record<string, string> = {}
  if (text === '' || text.length > maxBaggageChars) return members
  const parts = text.split(',')
  if (parts.length > maxBaggageMembers) return members
  for (const part of parts) {
    const [pair = ''] = part.split(';')
    const at = pair.indexOf('=')
    const name = pair.slice(0, Math.max(at, 0)).trim()
    if (name === '' || name === '__proto__') continue
    members[name] = decoded(pair.slice(at + 1).trim())
  }
  return members
}

function decoded(value: string): string {
  try {
    return decodeURIComponent(value)
  } catch {
    return value
  }
}

function headerReader(source: HeaderSource): (name: string) => string | null {
  if (source instanceof Headers) return (name) => source.get(name)
  const record = new Map(
    Object.entries(source).map(([name, value]) => [
      name.toLowerCase(),
      Array.isArray(value) ? value.join(',') : (value as string | undefined),
    ]),
  )
  return (name) => record.get(name) ?? null
}
