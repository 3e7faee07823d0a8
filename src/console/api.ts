/** The console's own back end, `/api/console` (sdk-cli-console §13.2): same origin, the session in a cookie. */

const prefix = '/api/console'
const pageSize = 500
const mostPages = 50
/** Asked by who is not signed in: a refusal there ends nothing. */
const beforeSession = /^\/auth\/(?:session$|register|verify|password-reset|social)/

/** A refusal of the server. `code` is stable; `message` is for people. */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  readonly status: number
  readonly code: string
  readonly requestId: string | null
  /** What is wrong with which field, where the server says so. */
  readonly details: readonly string[]

  constructor(
    status: number,
    code: string,
    message: string,
    requestId: string | null,
    details: readonly string[],
  ) {
    super(message)
    this.status = status
    this.code = code
    this.requestId = requestId
    this.details = details
  }
}

type Listener = (error: ApiError) => void
const endings = new Set<Listener>()

/** Hears of each answer that says that nobody is signed in, or no longer may be. Answers the way to stop. */
export function onSessionEnd(listener: Listener): () => void {
  endings.add(listener)
  return () => void endings.delete(listener)
}

const beginnings = new Set<() => void>()

/** Hears that somebody is signed in again, after an end. Answers the way to stop. */
export function onNewSession(listener: () => void): () => void {
  beginnings.add(listener)
  return () => void beginnings.delete(listener)
}

export function tellOfNewSession(): void {
  for (const listener of beginnings) listener()
}

async function request<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  let response: Response
  try {
    response = await fetch(prefix + path, {
      method,
      credentials: 'same-origin',
      cache: 'no-store',
      headers: {
        accept: 'application/json',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(signal === undefined ? {} : { signal }),
    })
  } catch (error) {
    if (signal?.aborted === true) throw error
    throw new ApiError(0, 'unreachable', 'The server does not answer.', null, [])
  }
  if (response.status === 204) return undefined as T
  const answer = await answerOf(response)
  if (response.ok) return answer as T
  const error = refusalOf(response, answer)
  const overSession = error.code === 'unauthenticated' || error.code === 'access_denied'
  if (overSession && !beforeSession.test(path)) for (const listener of endings) listener(error)
  throw error
}

/** Text where it is no JSON, whatever it says of itself; throws where it breaks off. */
async function answerOf(response: Response): Promise<unknown> {
  const text = await response.text().catch(() => {
    throw new ApiError(0, 'unreachable', 'The answer of the server broke off.', null, [])
  })
  if (!response.headers.get('content-type')?.includes('json')) return text
  try {
    return JSON.parse(text)
  } catch {
    throw refusalOf(response, text)
  }
}

function refusalOf(response: Response, answer: unknown): ApiError {
  const body = (typeof answer === 'object' && answer !== null ? answer : {}) as Record<string, unknown>
  const code = typeof body.error === 'string' ? body.error : `http_${response.status}`
  const text = [body.error_description, body.message, body.detail].find(
    (one) => typeof one === 'string' && one !== '',
  )
  return new ApiError(
    response.status,
    code,
    (text as string | undefined) ?? sentenceOf(code),
    response.headers.get('x-request-id'),
    detailsOf(body.details),
  )
}

function sentenceOf(code: string): string {
  const text = code.replaceAll('_', ' ')
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`
}

/** A list, or an object with `issues`, a `reason` or facts. */
function detailsOf(details: unknown): string[] {
  if (typeof details !== 'object' || details === null) return []
  if (!Array.isArray(details)) {
    const { issues, reason, ...facts } = details as Record<string, unknown>
    return [
      ...(typeof reason === 'string' ? [reason] : []),
      ...detailsOf(issues),
      ...Object.entries(facts).map(
        ([name, fact]) =>
          `${name.replaceAll('_', ' ')}: ${typeof fact === 'object' ? JSON.stringify(fact) : String(fact)}`,
      ),
    ]
  }
  return details.map((one: unknown) => {
    if (typeof one === 'string') return one
    const { path, field, message, line, column } = (one ?? {}) as Record<string, unknown>
    const place = path ?? field ?? (line === undefined ? undefined : `line ${line}:${column ?? 1}`)
    const where = Array.isArray(place) ? place.join('.') : place
    return [where, message ?? JSON.stringify(one)]
      .filter((part) => part !== undefined && part !== '')
      .join(': ')
  })
}

interface Page<T> {
  readonly items: readonly T[]
  readonly next_cursor: string | null
}

/** A path with its query; members that are null, undefined or empty are left out. */
export function withQuery(
  path: string,
  query: Readonly<Record<string, string | number | null | undefined>>,
): string {
  const given = Object.entries(query).filter(
    ([, value]) => value !== undefined && value !== null && value !== '',
  )
  if (given.length === 0) return path
  const search = new URLSearchParams(given.map(([name, value]) => [name, String(value)]))
  return `${path}${path.includes('?') ? '&' : '?'}${search}`
}

export const api = {
  get: <T>(path: string, signal?: AbortSignal) => request<T>('GET', path, undefined, signal),
  post: <T = unknown>(path: string, body: unknown = {}) => request<T>('POST', path, body),
  put: <T = unknown>(path: string, body: unknown) => request<T>('PUT', path, body),
  patch: <T = unknown>(path: string, body: unknown) => request<T>('PATCH', path, body),
  remove: <T = unknown>(path: string, body?: unknown) => request<T>('DELETE', path, body),
  /** One page of a list. */
  page: <T>(path: string, signal?: AbortSignal) => request<Page<T>>('GET', path, undefined, signal),
  /** All rows of a list, 50 pages of 500 at most. Bare arrays are lists of one page. */
  async list<T>(path: string, signal?: AbortSignal): Promise<readonly T[]> {
    const rows: T[] = []
    let cursor: string | null = null
    for (let pages = 0; pages < mostPages; pages++) {
      const page: Page<T> | readonly T[] = await request(
        'GET',
        withQuery(path, { limit: pageSize, cursor }),
        undefined,
        signal,
      )
      if (!('items' in page)) return page
      rows.push(...page.items)
      // A list that is never long has no cursor.
      cursor = page.next_cursor ?? null
      if (cursor === null) break
    }
    return rows
  },
}

/** A zone's part of the management API. `rest` begins with a slash. */
export const inZone = (zoneId: string, rest = ''): string => `/v1/zones/${encodeURIComponent(zoneId)}${rest}`
/** A zone's part of the coordinator. */
export const inCoordinator = (zoneId: string, rest: string): string =>
  `/coord/zones/${encodeURIComponent(zoneId)}${rest}`
