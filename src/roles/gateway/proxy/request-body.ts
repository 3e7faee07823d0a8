/**
 * The caller's body on its way to the upstream: streamed with back-pressure,
 * counted, never buffered whole (gateway §15.1). It is a stream of its own because
 * undici destroys a body it no longer needs, and destroying the incoming message
 * would take the caller's connection with it.
 */
import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'

/** The body grew past `MAX_REQUEST_BYTES` while it was streamed. */
export class BodyTooLarge extends Error {
  override readonly name = 'BodyTooLarge'
}

/** `null` when the request has no body. */
export function requestBody(request: IncomingMessage, maxBytes: number): Readable | null {
  const length = request.headers['content-length']
  if (request.headers['transfer-encoding'] === undefined && (length === undefined || Number(length) === 0)) {
    return null
  }
  let received = 0
  const detach = (): void => {
    request.off('data', onData)
    request.off('end', onEnd)
    request.off('close', onClose)
  }
  const body = new Readable({
    highWaterMark: 64 * 1024,
    read: () => {
      request.resume()
    },
    destroy: (error, callback) => {
      detach()
      callback(error)
    },
  })
  const onData = (chunk: Buffer): void => {
    received += chunk.length
    if (received > maxBytes) {
      body.destroy(new BodyTooLarge('request body too large'))
    } else if (!body.push(chunk)) request.pause()
  }
  const onEnd = (): void => {
    detach()
    body.push(null)
  }
  const onClose = (): void => {
    body.destroy(new Error('caller closed the request'))
  }
  // undici listens only while it reads; a caller that leaves later must not end the process.
  body.on('error', () => undefined)
  request.on('data', onData)
  request.on('end', onEnd)
  request.on('close', onClose)
  request.pause()
  return body
}

const lingerMs = 2000

/**
 * Reads away what is left of a body nobody wants, so that the caller can read the
 * answer and keep its connection; who keeps sending is cut off after two seconds.
 */
export function discardRest(request: IncomingMessage): void {
  if (request.complete || request.destroyed) return
  const timer = setTimeout(() => request.destroy(), lingerMs)
  timer.unref()
  request.once('end', () => clearTimeout(timer))
  request.once('close', () => clearTimeout(timer))
  request.resume()
}
