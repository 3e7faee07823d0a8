/**
 * The form endpoints' reading rules (sts §1.3), in the order they are checked.
 * Credentials travel in these bodies, so nothing that is read here is ever put
 * into an error: a field is named, its value is not.
 */
import type { Context } from 'hono'
import { CaracalError } from '../../platform/errors.ts'
import type { PlainRequest } from '../../platform/http/direct.ts'
import { headerOf } from '../../platform/http/incoming.ts'
import { requestContext } from '../../platform/http/request-context.ts'
import { invalidToken, payloadTooLarge, printable } from './refusal.ts'

export const maxBodyBytes = 65_536

export interface Form {
  /** The bytes as received: the gateway's signature covers exactly these. */
  readonly raw: Uint8Array
  /** First (and only) value, or `null` when the field is absent; an empty value is `''`. */
  get(name: string): string | null
  getAll(name: string): readonly string[]
  has(name: string): boolean
}

/** The form of a request that came through the app. */
export function readForm(c: Context, repeatable: ReadonlySet<string>): Promise<Form> {
  return readPlainForm(plainRequest(c), repeatable)
}

/** Reads the form of a request, refusing everything sts §1.3 names. `repeatable` fields may occur more than once. */
export async function readPlainForm(request: PlainRequest, repeatable: ReadonlySet<string>): Promise<Form> {
  const { method, target } = request
  if (method !== 'POST') throw invalidToken('method must be POST', 405)
  const queryAt = target.indexOf('?')
  if (queryAt >= 0 && queryAt < target.length - 1) throw invalidToken('query parameters are not allowed')
  if (!isFormMediaType(request.header('content-type'))) {
    throw invalidToken('content type must be application/x-www-form-urlencoded', 415)
  }
  return parseForm(await wholeBody(request), repeatable)
}

async function wholeBody(request: PlainRequest): Promise<Uint8Array> {
  try {
    return await request.body()
  } catch (cause) {
    throw cause instanceof CaracalError ? cause : unreadable(cause)
  }
}

function unreadable(cause: unknown): CaracalError {
  return invalidToken('request body cannot be read', 400, { cause })
}

/** A request of the app as handlers see it that also serve past the app. */
export function plainRequest(c: Context): PlainRequest {
  return {
    method: c.req.method,
    target: targetOf(c),
    context: requestContext(c),
    get signal() {
      return c.req.raw.signal
    },
    header: (name) => headerOf(c, name),
    body: () => readBody(c),
  }
}

/** Path and query as they were sent. */
export function targetOf(c: Context): string {
  const { url } = c.req
  const start = url.indexOf('/', url.indexOf('://') + 3)
  return start < 0 ? '/' : url.slice(start)
}

/** No space of it may be read in two ways: anybody may send it, and trying all of them would hold up the process. */
const mediaType =
  /^\s*application\/x-www-form-urlencoded\s*(?:;\s*(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+\s*=\s*(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+|"(?:[^"\\]|\\.)*")\s*)?)*$/i

export function isFormMediaType(header: string | undefined): boolean {
  return header !== undefined && mediaType.test(header)
}

/** The body, or 413 past 64 KiB, or 400 when it cannot be read. */
export async function readBody(c: Context): Promise<Uint8Array> {
  const declared = headerOf(c, 'content-length')
  const request = c.req.raw
  if (declared !== undefined) {
    if (!/^[0-9]+$/.test(declared)) throw invalidToken('content length is not a number')
    if (Number(declared) > maxBodyBytes) throw payloadTooLarge()
    let bytes: Uint8Array
    try {
      bytes = new Uint8Array(await request.arrayBuffer())
    } catch (cause) {
      throw unreadable(cause)
    }
    if (bytes.byteLength > maxBodyBytes) throw payloadTooLarge()
    return bytes
  }
  if (request.body === null) return new Uint8Array(0)
  return readBounded(request.body)
}

async function readBounded(body: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let size = 0
  const reader = body.getReader()
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return Buffer.concat(chunks, size)
      size += value.byteLength
      if (size > maxBodyBytes) throw payloadTooLarge()
      chunks.push(value)
    }
  } catch (error) {
    await reader.cancel().catch(() => undefined)
    throw error instanceof CaracalError ? error : unreadable(error)
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

/**
 * Decodes a form body strictly: a bad percent escape, invalid UTF-8 or a raw `;` is an error, not a
 * guess. So is a NUL: the store has no such text, and one would fail the whole batch it travels in.
 */
export function parseForm(raw: Uint8Array, repeatable: ReadonlySet<string>): Form {
  const fields = new Map<string, string[]>()
  const text = decodeText(raw)
  if (text.includes(';')) throw invalidToken('form body is malformed')
  for (const pair of text.split('&')) {
    if (pair === '') continue
    const at = pair.indexOf('=')
    const name = decodeComponent(at < 0 ? pair : pair.slice(0, at))
    const value = at < 0 ? '' : decodeComponent(pair.slice(at + 1))
    const values = fields.get(name)
    if (values === undefined) fields.set(name, [value])
    else if (repeatable.has(name)) values.push(value)
    else throw invalidToken(`field ${printable(name)} must not be repeated`)
  }
  return {
    raw,
    get: (name) => fields.get(name)?.[0] ?? null,
    getAll: (name) => fields.get(name) ?? [],
    has: (name) => fields.has(name),
  }
}

function decodeText(raw: Uint8Array): string {
  try {
    return utf8.decode(raw)
  } catch (cause) {
    throw invalidToken('form body is malformed', 400, { cause })
  }
}

function decodeComponent(text: string): string {
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text
  const decoded = spaced.includes('%') ? decodePercent(spaced) : spaced
  if (decoded.includes('\0')) throw invalidToken('form body is malformed')
  return decoded
}

function decodePercent(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch (cause) {
    throw invalidToken('form body is malformed', 400, { cause })
  }
}
