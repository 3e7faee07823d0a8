/**
 * Outbound calls of STS and control to addresses that come from configuration a tenant
 * may write (gateway §12.5, sts §10.6). The name is resolved once per connection and exactly
 * the address that was judged is dialled, so a name that changes its answer between
 * check and connect gains nothing. No redirects, bounded time, bounded size.
 */
import { type LookupAddress, lookup as systemLookup } from 'node:dns'
import { isIP } from 'node:net'
import { Agent, request } from 'undici'
import { classifyAddress, egressAllowed } from './address.ts'
import { type EgressTrust, loadEgressTrust } from './trust.ts'

export type EgressFailure =
  /** The URL itself is not acceptable: scheme, user info, no host. */
  | 'url_refused'
  | 'host_refused'
  | 'address_refused'
  | 'unresolvable'
  | 'trust_unavailable'
  | 'redirect_refused'
  | 'timeout'
  | 'too_large'
  | 'unreachable'

/** An outbound call that was refused or failed. The message names the host at most, never the URL. */
export class EgressError extends Error {
  override readonly name = 'EgressError'
  readonly reason: EgressFailure
  constructor(reason: EgressFailure, message: string, options?: ErrorOptions) {
    super(message, options)
    this.reason = reason
  }
}

export interface GuardedRequest {
  readonly method?: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE'
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
  /** Plain http as well (the resource probe); https only unless set. */
  readonly allowHttp?: boolean
  /** Exact host names, any case; when given the URL's host must be one of them. */
  readonly allowedHosts?: readonly string[]
  /** Whole call; 15 s unless told otherwise. */
  readonly timeoutMs?: number
  /** Response body; 64 KiB unless told otherwise. */
  readonly maxBytes?: number
  readonly signal?: AbortSignal
}

export interface GuardedResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Buffer
}

type Resolve = (host: string) => Promise<readonly LookupAddress[]>

export interface EgressGuard extends AsyncDisposable {
  /** Rejects with `EgressError`. A 3xx answer is `redirect_refused`. */
  fetch(url: string | URL, call?: GuardedRequest): Promise<GuardedResponse>
  /** The parsed URL if it may be called, before anything is resolved. Throws `EgressError`. */
  checkUrl(url: string | URL, call?: Pick<GuardedRequest, 'allowHttp' | 'allowedHosts'>): URL
  /** Resolves and judges a host without connecting, for checks at intake. */
  checkHost(host: string): Promise<void>
}

export interface EgressGuardOptions {
  /** `CARACAL_PRIVATE_EGRESS_HOSTS`, lower case. */
  readonly privateHosts: readonly string[]
  /** `CARACAL_TLS_EXTRA_CA_FILE` */
  readonly extraCaFile: string | null
  /** The system resolver unless told otherwise. */
  readonly resolve?: Resolve
  /** The address rule; `egressAllowed` unless told otherwise. */
  readonly allows?: (address: string, host: string) => boolean
}

const defaultTimeoutMs = 15_000
const defaultMaxBytes = 64 * 1024

const resolveAll: Resolve = (host) =>
  new Promise((resolve, reject) => {
    systemLookup(host, { all: true, verbatim: true }, (error, addresses) =>
      error ? reject(error) : resolve(addresses),
    )
  })

export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '').toLowerCase()
}

/** A guard for what runs beside the server while somebody develops: loopback addresses and no others. */
export function createLoopbackGuard(): EgressGuard {
  const allows = (address: string) => classifyAddress(address) === 'loopback'
  return createEgressGuard({ privateHosts: [], extraCaFile: null, allows })
}

/** One guard per role; it owns its connections. */
export function createEgressGuard(options: EgressGuardOptions): EgressGuard {
  const privateHosts = new Set(options.privateHosts.map((host) => host.toLowerCase()))
  const trust: EgressTrust = loadEgressTrust(options.extraCaFile)
  const resolve = options.resolve ?? resolveAll
  const allows =
    options.allows ??
    ((address: string, host: string) => egressAllowed(classifyAddress(address), privateHosts.has(host)))

  /** Every address must be acceptable: one bad record among good ones is an attack or a mistake. */
  async function judgedAddresses(host: string): Promise<readonly LookupAddress[]> {
    if (isIP(host) !== 0) {
      if (!allows(host, host)) throw new EgressError('address_refused', `address of ${host} is not allowed`)
      return [{ address: host, family: isIP(host) }]
    }
    let addresses: readonly LookupAddress[]
    try {
      addresses = await resolve(host)
    } catch (cause) {
      throw new EgressError('unresolvable', `${host} cannot be resolved`, { cause })
    }
    if (addresses.length === 0) throw new EgressError('unresolvable', `${host} has no address`)
    if (!addresses.every(({ address }) => allows(address, host))) {
      throw new EgressError('address_refused', `an address of ${host} is not allowed`)
    }
    return addresses
  }

  const agent = new Agent({
    connect: {
      ...(trust.ok && trust.ca !== null ? { ca: [...trust.ca] } : {}),
      timeout: defaultTimeoutMs,
      // Called for each new connection, with a name only; literal addresses were judged before.
      lookup: (hostname, lookupOptions, callback) => {
        judgedAddresses(hostname.toLowerCase()).then(
          (addresses) => {
            const first = addresses[0] as LookupAddress
            if (lookupOptions.all) callback(null, [...addresses])
            else callback(null, first.address, first.family)
          },
          (error: Error) => callback(error, '', 0),
        )
      },
    },
    connections: 8,
    pipelining: 1,
    keepAliveTimeout: 4_000,
  })

  function checkUrl(input: string | URL, call: Pick<GuardedRequest, 'allowHttp' | 'allowedHosts'> = {}): URL {
    let url: URL
    try {
      url = new URL(input)
    } catch {
      throw new EgressError('url_refused', 'the URL is not absolute')
    }
    const schemeAllowed = url.protocol === 'https:' || (call.allowHttp === true && url.protocol === 'http:')
    if (!schemeAllowed) throw new EgressError('url_refused', 'the URL scheme is not allowed')
    if (url.username !== '' || url.password !== '')
      throw new EgressError('url_refused', 'the URL carries user info')
    const host = hostOf(url)
    if (host === '') throw new EgressError('url_refused', 'the URL has no host')
    if (call.allowedHosts && !call.allowedHosts.some((allowed) => allowed.trim().toLowerCase() === host)) {
      throw new EgressError('host_refused', `${host} is not an allowed host`)
    }
    if (isIP(host) !== 0 && !allows(host, host)) {
      throw new EgressError('address_refused', `address of ${host} is not allowed`)
    }
    url.hash = ''
    return url
  }

  return {
    checkUrl,

    checkHost: async (host) => {
      await judgedAddresses(host.replace(/^\[|\]$/g, '').toLowerCase())
    },

    async fetch(input, call = {}) {
      const url = checkUrl(input, call)
      const host = hostOf(url)
      if (url.protocol === 'https:' && !trust.ok) throw new EgressError('trust_unavailable', trust.problem)
      const timeout = AbortSignal.timeout(call.timeoutMs ?? defaultTimeoutMs)
      const signal = call.signal ? AbortSignal.any([timeout, call.signal]) : timeout
      try {
        const response = await request(url, {
          dispatcher: agent,
          method: call.method ?? 'GET',
          signal,
          ...(call.headers ? { headers: call.headers } : {}),
          ...(call.body === undefined ? {} : { body: call.body }),
        })
        if (response.statusCode >= 300 && response.statusCode < 400 && response.statusCode !== 304) {
          response.body.on('error', () => {}).destroy()
          throw new EgressError('redirect_refused', `${host} answered with a redirect`)
        }
        const chunks: Buffer[] = []
        let size = 0
        for await (const chunk of response.body as AsyncIterable<Buffer>) {
          size += chunk.length
          if (size > (call.maxBytes ?? defaultMaxBytes)) {
            throw new EgressError('too_large', `the answer of ${host} is too large`)
          }
          chunks.push(chunk)
        }
        return { status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks) }
      } catch (cause) {
        if (cause instanceof EgressError) throw cause
        call.signal?.throwIfAborted()
        if (timeout.aborted) throw new EgressError('timeout', `${host} did not answer in time`, { cause })
        throw new EgressError('unreachable', `${host} cannot be reached`, { cause })
      }
    },

    [Symbol.asyncDispose]: () => agent.destroy(),
  }
}
