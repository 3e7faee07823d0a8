/** A browser as the web console's back end sees it: one cookie, and the origin of the page. */
import type { Hono } from 'hono'

export const origin = 'http://localhost:3001'

export interface BrowserAnswer {
  readonly status: number
  readonly headers: Headers
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked into by tests of every shape
  readonly body: any
  readonly text: string
}

export interface Browser {
  send(
    method: string,
    path: string,
    body?: unknown,
    headers?: Readonly<Record<string, string>>,
  ): Promise<BrowserAnswer>
  /** Signs in and keeps the cookie. */
  signIn(credentials: object): Promise<BrowserAnswer>
  /** `name=value` as it is sent; empty without a session. */
  cookie(): string
}

/** Requests go to `/api/console` of `app`, from the console's own page unless the headers say otherwise. */
export function createBrowser(app: Pick<Hono, 'request'>, cookie = ''): Browser {
  let kept = cookie
  const send: Browser['send'] = async (method, path, body, headers = {}) => {
    const response = await app.request(`/api/console${path}`, {
      method,
      headers: {
        ...(kept === '' ? {} : { cookie: kept }),
        ...(method === 'GET' ? {} : { origin }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    const isJson = response.headers.get('content-type')?.includes('json') === true
    return {
      status: response.status,
      headers: response.headers,
      text,
      body: isJson ? JSON.parse(text) : text,
    }
  }
  return {
    send,
    cookie: () => kept,
    async signIn(credentials) {
      const answer = await send('POST', '/auth/session', credentials)
      const [set] = answer.headers.getSetCookie()
      if (set !== undefined) kept = set.split(';')[0] ?? ''
      return answer
    },
  }
}
