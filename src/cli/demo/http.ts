/** The demo talks to its own server as any client would: over HTTP, with nothing shared in memory. */
export interface Answer {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
  readonly headers: Headers
  readonly ms: number
}

export interface Call {
  readonly method?: string
  readonly bearer?: string
  readonly json?: unknown
  readonly form?: URLSearchParams
  readonly headers?: Readonly<Record<string, string>>
}

/** One request; any status is an answer, only a transport failure rejects. */
export async function call(url: string, options: Call = {}): Promise<Answer> {
  const headers = new Headers(options.headers)
  if (options.bearer !== undefined) headers.set('authorization', `Bearer ${options.bearer}`)
  if (options.json !== undefined) headers.set('content-type', 'application/json')
  const started = performance.now()
  const response = await fetch(url, {
    method: options.method ?? 'GET',
    headers,
    redirect: 'manual',
    body: options.form ?? (options.json === undefined ? null : JSON.stringify(options.json)),
  })
  const text = await response.text()
  return {
    status: response.status,
    body: parsed(text),
    headers: response.headers,
    ms: performance.now() - started,
  }
}

/** As `call`, but anything outside 2xx is an error that names the request and the answer. */
export async function mustCall(url: string, options: Call = {}): Promise<Answer> {
  const answer = await call(url, options)
  if (answer.status >= 200 && answer.status < 300) return answer
  throw new Error(
    `${options.method ?? 'GET'} ${new URL(url).pathname} answered ${answer.status} ${JSON.stringify(answer.body)}`,
  )
}

/** A string member of an answer; its absence is an error that names it. */
export function text(answer: Answer, member: string): string {
  const value = answer.body[member]
  if (typeof value === 'string' && value !== '') return value
  throw new Error(`the answer has no ${member}: ${JSON.stringify(answer.body)}`)
}

function parsed(body: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(body)
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return value as Record<string, unknown>
    return { value }
  } catch {
    return body === '' ? {} : { text: body }
  }
}
