/** One JSON API with a bearer: retried reads, typed errors, lists to their end (sdk-cli-console §10.1). */
import { pause, withDeadline } from '../sdk/deadline.ts'
import { failureOf } from '../sdk/network-failure.ts'
import { jsonObject, readText, retryAfterSeconds, textMember } from '../sdk/read-body.ts'

export interface ApiOptions {
  readonly baseUrl: string
  readonly token: string
  readonly fetchImpl?: typeof fetch | undefined
  /** Per request; default 30 000. */
  readonly timeoutMs?: number | undefined
  /** Of GET only; default 3. */
  readonly retries?: number | undefined
  readonly signal?: AbortSignal | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
}

export type Query = Readonly<Record<string, string | number | boolean | undefined>>

export interface Api {
  /** The JSON answer; undefined for an empty one. Throws `AdminApiError`. */
  send<T>(method: string, path: string, body?: unknown, query?: Query): Promise<T>
  get<T>(path: string, query?: Query): Promise<T>
  /** Every item of a list, page by page; at most 50 pages. */
  list<T>(path: string, query?: Query): Promise<T[]>
}

/** The API answered outside 2xx. */
export class AdminApiError extends Error {
  override readonly name = 'AdminApiError'
  readonly status: number
  readonly code: string
  /** The answer, with everything that is called a secret taken out. */
  readonly body: unknown
  /** Method and path. */
  readonly target: string
  readonly requestId: string | undefined

  constructor(status: number, code: string, body: unknown, target: string, requestId?: string) {
    const description =
      typeof body === 'object' && body !== null ? Reflect.get(body, 'error_description') : undefined
    super(`${target} answered ${status} ${code}${typeof description === 'string' ? `: ${description}` : ''}`)
    this.status = status
    this.code = code
    this.body = body
    this.target = target
    this.requestId = requestId
  }
}

const longestAnswer = 32 * 1024 * 1024
const maxPages = 50
const retryableStatuses: ReadonlySet<number> = new Set([408, 425, 429])

export function createApi(options: ApiOptions): Api {
  const base = options.baseUrl.replace(/\/+$/, '')
  const request = options.fetchImpl ?? fetch
  const timeoutMs = options.timeoutMs ?? 30_000
  const retries = options.retries ?? 3

  async function once(method: string, url: string, target: string, body: unknown): Promise<unknown> {
    let heard = false
    try {
      return await withDeadline(timeoutMs, [options.signal], async (signal) => {
        const response = await request(url, {
          method,
          headers: {
            ...options.headers,
            authorization: `Bearer ${options.token}`,
            ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          },
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
          redirect: 'manual',
          signal,
        })
        heard = true
        const text = await readText(response, longestAnswer)
        if (!response.ok) throw refused(response, text, target)
        return text === '' ? undefined : parsed(response.status, text, target)
      })
    } catch (error) {
      if (heard || options.signal?.aborted) throw error
      throw new Error(`${target} got no answer: ${failureOf(error)}`, { cause: error })
    }
  }

  const api: Api = {
    async send<T>(method: string, path: string, body?: unknown, query?: Query): Promise<T> {
      const search = new URLSearchParams()
      for (const [name, value] of Object.entries(query ?? {}))
        if (value !== undefined) search.set(name, String(value))
      const url = `${base}${path}${search.size === 0 ? '' : `?${search}`}`
      for (let attempt = 0; ; attempt += 1) {
        try {
          return (await once(method, url, `${method} ${path}`, body)) as T
        } catch (error) {
          const last = method !== 'GET' || attempt >= retries || options.signal?.aborted
          if (last || !mayChange(error)) throw error
          await pause(backoffMs(error, attempt), options.signal)
        }
      }
    },
    get: (path, query) => api.send('GET', path, undefined, query),
    async list<T>(path: string, query?: Query): Promise<T[]> {
      const items: T[] = []
      let cursor: string | undefined
      for (let page = 0; page < maxPages; page += 1) {
        const body = await api.get<{ items?: unknown; next_cursor?: unknown }>(path, { ...query, cursor })
        if (!Array.isArray(body?.items))
          throw new AdminApiError(200, 'invalid_response', undefined, `GET ${path}`)
        items.push(...(body.items as T[]))
        cursor = textMember(body.next_cursor)
        if (cursor === undefined) return items
      }
      throw new Error(`${path} has more than ${maxPages} pages: narrow the query`)
    },
  }
  return api
}

function parsed(status: number, text: string, target: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    throw new AdminApiError(status, 'invalid_response', undefined, target)
  }
}

/** Path segments, encoded: `/v1/zones/…`. Throws `TypeError` for one with which the path would be another's. */
export function pathOf(...segments: readonly string[]): string {
  for (const segment of segments)
    if (typeof segment !== 'string' || ['', '.', '..'].includes(segment))
      throw new TypeError(`an id must not be ${segment === '' ? 'empty' : segment}`)
  return `/${segments.map((segment) => encodeURIComponent(segment)).join('/')}`
}

class RetryableRefusal extends AdminApiError {
  retryAfter: number | undefined
}

function refused(response: Response, text: string, target: string): AdminApiError {
  const body = jsonObject(text)
  const error = new RetryableRefusal(
    response.status,
    textMember(body?.error) ?? (response.statusText || String(response.status)),
    redacted(body),
    target,
    textMember(body?.request_id) ??
      textMember(body?.requestId) ??
      response.headers.get('x-request-id') ??
      undefined,
  )
  error.retryAfter = retryAfterSeconds(response.headers.get('retry-after'))
  return error
}

function mayChange(error: unknown): boolean {
  return error instanceof AdminApiError ? error.status >= 500 || retryableStatuses.has(error.status) : true
}

function backoffMs(error: unknown, attempt: number): number {
  if (error instanceof RetryableRefusal && error.retryAfter !== undefined)
    return Math.min(error.retryAfter, 30) * 1000
  const full = Math.min(250 * 2 ** attempt, 5000)
  return full / 2 + (Math.random() * full) / 2
}

const secretNames = /secret|token|password|api_key|private_key|credential/i

function redacted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(redacted)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [
      name,
      secretNames.test(name) && typeof member === 'string' ? '[redacted]' : redacted(member),
    ]),
  )
}
