/** One outgoing request in the shape of `fetch(url, init)`, whatever the caller gave. */

export interface Outgoing {
  /** The URL as the caller wrote it, before dot segments are resolved. */
  readonly rawUrl: string
  readonly headers: Headers
  readonly init: RequestInit
}

export type FetchInput = string | URL | Request

/** Throws `TypeError` for a `Request` whose body was read already. */
export function outgoing(input: FetchInput, init: RequestInit | undefined): Outgoing {
  if (!(input instanceof Request)) {
    const headers = new Headers(init?.headers)
    return { rawUrl: String(input), headers, init: { ...init } }
  }
  const replaced = init?.body !== undefined && init.body !== null
  if (input.bodyUsed && !replaced) throw new TypeError('the body of this Request has been read already')
  const headers = new Headers(input.headers)
  for (const [name, value] of new Headers(init?.headers)) headers.set(name, value)
  return {
    rawUrl: input.url,
    headers,
    init: {
      method: input.method,
      signal: input.signal,
      ...(input.body === null ? {} : { body: input.body, duplex: 'half' }),
      ...init,
    } as RequestInit,
  }
}

/** `init` under a time limit that spans the whole answer. */
export function withTimeout(init: RequestInit, timeoutMs: number | undefined): RequestInit {
  if (timeoutMs === undefined) return init
  const late = AbortSignal.timeout(timeoutMs)
  return { ...init, signal: init.signal ? AbortSignal.any([init.signal, late]) : late }
}
