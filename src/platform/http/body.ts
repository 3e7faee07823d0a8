/**
 * Request bodies: size first, then media type, then JSON. A declared length is
 * refused before a byte is read; a chunked body is counted while it arrives.
 */
import type { Context, MiddlewareHandler } from 'hono'
import { CaracalError } from '../errors.ts'
import { type ErrorCode, errorOf } from './errors/registry.ts'
import { headerOf, incomingOf } from './incoming.ts'
import { deepestNesting, nestsTooDeep } from './nesting.ts'
import type { ParsedBody } from './request-context.ts'

function tooLarge(limit: number): CaracalError {
  return errorOf('payload_too_large', { detail: `body exceeds ${limit} bytes` })
}

function declaredLength(c: Context): number | null {
  const header = headerOf(c, 'content-length')
  return header === undefined ? null : Number(header)
}

function counted(stream: ReadableStream<Uint8Array>, limit: number): ReadableStream<Uint8Array> {
  let size = 0
  return stream.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        size += chunk.byteLength
        if (size > limit) controller.error(tooLarge(limit))
        else controller.enqueue(chunk)
      },
    }),
  )
}

/** Makes sure no reader of this request's body gets more than `limit` bytes. Throws 413 for a declared length over it. */
export function limitBody(c: Context, limit: number): void {
  const declared = declaredLength(c)
  if (declared !== null) {
    if (!(declared <= limit)) throw tooLarge(limit)
    return
  }
  if (c.req.method === 'GET' || c.req.method === 'HEAD') return
  // RFC 9112 §6.3: a request with neither header has no body. (What never was on a wire has no headers to go by.)
  if (incomingOf(c) !== undefined && headerOf(c, 'transfer-encoding') === undefined) return
  const stream = c.req.raw.body
  if (stream === null) return
  // Copying the request is slow, so only a body of unknown length pays for it.
  c.req.raw = new Request(c.req.raw, { body: counted(stream, limit), duplex: 'half' } as RequestInit)
}

/** The body's bytes, at most `limit`; for surfaces that must see them exactly (signatures). */
export async function readBody(c: Context, limit: number): Promise<Buffer> {
  limitBody(c, limit)
  try {
    return Buffer.from(await c.req.arrayBuffer())
  } catch (error) {
    if (error instanceof CaracalError) throw error
    throw errorOf('invalid_request', { message: 'The body could not be read', cause: error })
  }
}

export interface JsonBodyRules {
  /** What an empty body with a JSON content type is: an error (control) or no body (coordinator). */
  readonly emptyJson?: 'refused' | 'absent'
  /** Code of the refusal of JSON that nests too deep; `invalid_body` unless told otherwise. */
  readonly tooDeep?: ErrorCode
}

const jsonType = /^application\/(?:json|[\w.+-]+\+json)\s*(?:;|$)/i
const strictUtf8 = new TextDecoder('utf-8', { fatal: true })

/**
 * Reads and parses a JSON body once; later calls get the same value. A missing body is
 * `{ present: false }`, whatever the content type, unless `emptyJson` refuses it.
 * Throws 400 `invalid_body` or `tooDeep`, 413, 415.
 */
export async function readJson(c: Context, rules: JsonBodyRules = {}): Promise<ParsedBody> {
  const known = c.get('jsonBody')
  if (known) return known
  const body = await parse(c, rules)
  c.set('jsonBody', body)
  return body
}

async function parse(c: Context, rules: JsonBodyRules): Promise<ParsedBody> {
  const absent: ParsedBody = { present: false, value: undefined }
  if (c.req.method === 'GET' || c.req.method === 'HEAD') return absent
  const type = headerOf(c, 'content-type')
  const isJson = type !== undefined && jsonType.test(type)
  let bytes: ArrayBuffer
  try {
    bytes = await c.req.arrayBuffer()
  } catch (error) {
    if (error instanceof CaracalError) throw error
    throw errorOf('invalid_body', { message: 'The body could not be read', cause: error })
  }
  if (bytes.byteLength === 0) {
    if (isJson && rules.emptyJson === 'refused') {
      throw errorOf('invalid_body', { message: 'The body is empty but its content type is JSON' })
    }
    return absent
  }
  if (!isJson) throw errorOf('unsupported_media_type')
  const value = parsedJson(bytes)
  if (nestsTooDeep(value)) {
    const issue = { path: [], message: `nests deeper than ${deepestNesting} levels` }
    throw errorOf(rules.tooDeep ?? 'invalid_body', { body: { details: { issues: [issue] } } })
  }
  return { present: true, value }
}

function parsedJson(bytes: ArrayBuffer): unknown {
  try {
    return JSON.parse(strictUtf8.decode(bytes))
  } catch {
    // The parser's message quotes the text, which may hold a secret.
    throw errorOf('invalid_body', { message: 'The body is not valid JSON' })
  }
}

/** Parses JSON before authentication, as control and coordinator do (control-api §2.3). */
export function jsonBody(rules: JsonBodyRules = {}): MiddlewareHandler {
  return async (c, next) => {
    await readJson(c, rules)
    await next()
  }
}
