/** One request over one of a scene's pools, which always ends in an answer. */
import { randomUUID } from 'node:crypto'
import type { Pool } from 'undici'
import type { Answer } from './documented-refusal.ts'

export interface Told extends Answer {
  readonly ok: boolean
  readonly requestId: string
  /** `performance.now()` when it was sent. */
  readonly from: number
  /** A member of the JSON body, as text. */
  member(name: string): string
}

export interface Outgoing {
  readonly method: string
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly bearer?: string
  readonly form?: Readonly<Record<string, string>> | string
  readonly json?: unknown
}

const patienceMs = 40_000

export async function send(pool: Pool, request: Outgoing): Promise<Told> {
  const requestId = randomUUID()
  const from = performance.now()
  const headers: Record<string, string> = { 'x-request-id': requestId, ...request.headers }
  if (request.bearer !== undefined) headers.authorization = `Bearer ${request.bearer}`
  if (request.form !== undefined) headers['content-type'] = 'application/x-www-form-urlencoded'
  if (request.json !== undefined) headers['content-type'] = 'application/json'
  const body =
    request.json !== undefined
      ? JSON.stringify(request.json)
      : typeof request.form === 'object'
        ? new URLSearchParams(request.form).toString()
        : (request.form ?? null)
  const { method, path } = request
  try {
    const answer = await pool.request({
      method,
      path,
      headers,
      body,
      headersTimeout: patienceMs,
      bodyTimeout: patienceMs,
    })
    return told(answer.statusCode, await answer.body.text(), requestId, from)
  } catch (error) {
    return told(0, String((error as { code?: unknown }).code ?? error), requestId, from)
  }
}

function told(status: number, body: string, requestId: string, from: number): Told {
  return {
    status,
    body,
    requestId,
    from,
    ok: status >= 200 && status < 300,
    member: (name) => String((JSON.parse(body) as Record<string, unknown>)[name] ?? ''),
  }
}
