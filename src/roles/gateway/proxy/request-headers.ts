/**
 * Caller → upstream headers (gateway §14.1, §14.2). One pass over the raw header
 * list drops what must not travel; then come the credential and what the gateway
 * itself says. The caller's own authority never gets past this file.
 */
import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import { clientIpOf } from '../../../platform/http/client-ip.ts'
import type { UpstreamDirective } from '../../sts/port.ts'
import { isTraceparent, newTraceparent } from './traceparent.ts'

export interface RequestHeadersInput {
  readonly request: IncomingMessage
  readonly requestId: string
  readonly trustProxy: boolean
  /** The listener itself speaks TLS. */
  readonly secure: boolean
  /** Host header of the upstream. */
  readonly host: string
  readonly directive: UpstreamDirective
  /** The resource mandate. */
  readonly accessToken: () => string
  /** Of our own span while spans are exported; `null` passes on what the caller sent. */
  readonly traceparent: string | null
}

export interface BuiltHeaders {
  /** Flat name, value list as undici takes it. */
  readonly headers: string[]
  /** What the upstream is told in confidence, in the spellings it may come back in: never for the caller. */
  readonly secrets: readonly string[]
  readonly traceparent: string
}

const hopByHop = new Set([
  'connection',
  'proxy-connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** Set by the gateway itself or never forwarded. */
const replaced = new Set([
  ...hopByHop,
  'authorization',
  'expect',
  'forwarded',
  'host',
  'traceparent',
  'x-real-ip',
  'x-request-id',
])

const reservedForCredentials = new Set([
  ...hopByHop,
  'baggage',
  'content-encoding',
  'content-length',
  'content-type',
  'expect',
  'forwarded',
  'host',
  'traceparent',
  'tracestate',
  'via',
  'x-real-ip',
  'x-request-id',
])

/** With these an upstream may run another method or path than the operation that was judged. */
const overriding = new Set([
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
  'x-original-url',
  'x-rewrite-url',
])

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
// biome-ignore lint/suspicious/noControlCharactersInRegex: exactly what a header value must not hold
const illegalValue = /[\u0000-\u0008\u000a-\u001f\u007f]|[^\u0000-\u00ff]/

export const isHopByHop = (lowerName: string): boolean => hopByHop.has(lowerName)

/** Lower-cased names listed in `Connection`. */
export function connectionOptions(value: string | undefined): ReadonlySet<string> | null {
  if (value === undefined || value === '') return null
  const lower = value.toLowerCase()
  if (lower === 'keep-alive' || lower === 'close') return null
  return new Set(lower.split(',').map((name) => name.trim()))
}

/** A name as the least careful upstream knows it: CGI and what came of it write `-` and `_` alike. */
function readAs(name: string): string {
  const lower = name.toLowerCase()
  return lower.includes('_') ? lower.replaceAll('_', '-') : lower
}

/**
 * The header list for the upstream; `null` when the credential cannot legally be placed, or when a header
 * asks for another operation than was judged (step 18).
 */
export function buildRequestHeaders(input: RequestHeadersInput): BuiltHeaders | null {
  const { request, directive } = input
  const credential = credentialOf(directive, input.accessToken)
  if (credential === null) return null
  const credentialName = readAs(directive.auth_header || 'Authorization')
  const listed = connectionOptions(request.headers.connection)
  const headers: string[] = []
  const raw = request.rawHeaders
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = raw[index] as string
    const value = raw[index + 1] as string
    const known = readAs(name)
    if (replaced.has(known) || known === credentialName || listed?.has(name.toLowerCase())) continue
    if (known.startsWith('x-caracal-') || known.startsWith('x-forwarded-')) continue
    if (overriding.has(known) && directive.transport_uniform !== true) return null
    if (known === 'baggage') {
      const rest = foreignBaggage(value)
      if (rest !== '') headers.push(name, rest)
      continue
    }
    headers.push(name, value)
  }
  headers.push(...credential.headers)
  headers.push('X-Request-Id', input.requestId)
  const traceparent = input.traceparent ?? passedOn(request.headers.traceparent)
  headers.push('Traceparent', traceparent)
  headers.push('X-Forwarded-For', forwardedFor(input), 'X-Forwarded-Proto', forwardedProto(input))
  const host = request.headers.host
  if (host !== undefined && host !== '') headers.push('X-Forwarded-Host', host)
  headers.push('Host', input.host)
  return { headers, secrets: credential.secrets, traceparent }
}

const passedOn = (presented: string | string[] | undefined): string =>
  typeof presented === 'string' && isTraceparent(presented) ? presented : newTraceparent()

/** The credential as it travels: name, value pairs, and what of it is secret. */
interface Credential {
  readonly headers: readonly string[]
  readonly secrets: readonly string[]
}

/** `null` when it must not be sent. */
function credentialOf(directive: UpstreamDirective, accessToken: () => string): Credential | null {
  const place = (scheme: string, secret: string): Credential | null => {
    const name = directive.auth_header || 'Authorization'
    if (!isCredentialName(name) || secret === '') return null
    const value = scheme === '' ? secret : `${scheme} ${secret}`
    return illegalValue.test(value) ? null : { headers: [name, value], secrets: [secret] }
  }
  const withIdentity = (credential: Credential | null): Credential | null => {
    if (credential === null || directive.forward_caracal_identity !== true) return credential
    const identity = accessToken()
    return {
      headers: [...credential.headers, 'X-Caracal-Identity', identity],
      secrets: [...credential.secrets, identity],
    }
  }
  switch (directive.auth_mode) {
    case 'none':
      return { headers: [], secrets: [] }
    case 'caracal_jwt':
      return place(directive.auth_scheme || 'Bearer', accessToken())
    case 'provider_oauth':
      return withIdentity(place(directive.auth_scheme ?? '', directive.provider_token ?? ''))
    case 'provider_apikey':
      if (directive.auth_location === 'query') {
        if (!directive.query_param_name || !directive.provider_token) return null
        return withIdentity({ headers: [], secrets: spellings(directive.provider_token) })
      }
      return withIdentity(place(directive.auth_scheme ?? '', directive.provider_token ?? ''))
    default:
      return null
  }
}

/** Of a parameter's value: as it is, as we send it, and as others would write it. */
const spellings = (value: string): readonly string[] => [
  ...new Set([value, new URLSearchParams([['', value]]).toString().slice(1), encodeURIComponent(value)]),
]

function isCredentialName(name: string): boolean {
  const lower = name.toLowerCase()
  return (
    token.test(name) &&
    !reservedForCredentials.has(lower) &&
    !lower.startsWith('x-caracal-') &&
    !lower.startsWith('x-forwarded-') &&
    !lower.startsWith('proxy-')
  )
}

function foreignBaggage(value: string): string {
  if (!value.toLowerCase().includes('caracal.')) return value
  return value
    .split(',')
    .filter((member) => !member.trim().toLowerCase().startsWith('caracal.'))
    .map((member) => member.trim())
    .filter((member) => member !== '')
    .join(',')
}

function forwardedFor(input: RequestHeadersInput): string {
  if (input.trustProxy) {
    const first = input.request.headersDistinct['x-forwarded-for']?.[0]?.split(',')[0]?.trim() ?? ''
    if (isIP(first) !== 0) return first
  }
  return clientIpOf(input.request, false)
}

function forwardedProto(input: RequestHeadersInput): string {
  if (input.trustProxy) {
    const presented = input.request.headersDistinct['x-forwarded-proto']?.[0]?.trim().toLowerCase()
    if (presented === 'http' || presented === 'https') return presented
  }
  return input.secure ? 'https' : 'http'
}
