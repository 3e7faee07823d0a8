/** One authenticated request of the API, as `caracal api` and the shell make it. */
import { AnswerTooLong, readText } from '../../sdk/read-body.ts'
import { UsageError } from '../arguments.ts'
import type { Access } from './login-file.ts'

const methods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'])
export const httpMethods = [...methods]

export interface ApiLine {
  readonly method: string
  /** Absolute path on the server. */
  readonly path: string
  readonly body: string | undefined
}

/** `[METHOD] <path> [json]`. Throws `UsageError`. */
export function parseApiLine(words: readonly string[], zone?: string): ApiLine {
  const [first = '', ...rest] = words
  const named = methods.has(first.toUpperCase())
  const [path, ...body] = named ? rest : words
  if (path === undefined || path === '') throw new UsageError('a path is missing')
  const method = named ? first.toUpperCase() : 'GET'
  const text = body.join(' ').trim()
  if (text !== '' && (method === 'GET' || method === 'HEAD'))
    throw new UsageError(`${method} takes no body: name the method, such as POST, before the path`)
  return { method, path: apiPath(path, zone), body: text === '' ? undefined : text }
}

/** Relative paths are of `/v1`; the token must never leave for another origin. */
function apiPath(path: string, zone: string | undefined): string {
  if (/^[A-Za-z][A-Za-z0-9+.-]*:/.test(path) || path.startsWith('//') || path.includes('\\'))
    throw new UsageError('only paths of the server: the token is not sent to another origin')
  const absolute = path.startsWith('/') ? path : `/v1/${path}`
  if (!absolute.includes('{zone}')) return absolute
  if (zone === undefined) throw new UsageError('{zone} is not selected: /zone <id or slug>')
  return absolute.replaceAll('{zone}', encodeURIComponent(zone))
}

export interface ApiAnswer {
  readonly status: number
  readonly statusText: string
  readonly ms: number
  readonly body: string
}

const timeoutMs = 60_000
const longestAnswer = 64 * 1024 * 1024

/** There is no answer, or not the whole of it. */
export class Unreachable extends Error {
  override readonly name = 'Unreachable'
}

/** Any status is an answer. Rejects with `Unreachable` without one. */
export async function sendApiLine(access: Access, line: ApiLine): Promise<ApiAnswer> {
  if (line.body !== undefined) assertJson(line.body)
  const began = performance.now()
  try {
    const response = await fetch(`${access.server}${line.path}`, {
      method: line.method,
      headers: {
        authorization: `Bearer ${access.token}`,
        accept: 'application/json',
        ...(line.body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(line.body === undefined ? {} : { body: line.body }),
      redirect: 'manual',
      signal: AbortSignal.timeout(timeoutMs),
    })
    const body = await readText(response, longestAnswer)
    const { status, statusText } = response
    return { status, statusText, ms: Math.round(performance.now() - began), body }
  } catch (error) {
    throw error instanceof AnswerTooLong ? error : new Unreachable(`${access.server} cannot be reached`)
  }
}

/** Pretty JSON, or the text as it is. */
export function prettyBody(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2)
  } catch {
    return text
  }
}

export function requestLine(line: ApiLine): string {
  return `→ ${line.method} ${line.path}`
}

export function statusLine(answer: ApiAnswer): string {
  return `← ${answer.status} ${answer.statusText} (${answer.ms} ms)`
}

function assertJson(text: string): void {
  try {
    JSON.parse(text)
  } catch {
    throw new UsageError('the body is not JSON')
  }
}
