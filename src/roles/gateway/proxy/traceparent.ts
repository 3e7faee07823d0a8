/** W3C trace context of the outgoing request (gateway §14.1 step 9). */
import { randomBytes } from 'node:crypto'

const version00 = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/
const higher = /^(?!ff|00)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?$/

export const isTraceparent = (value: string): boolean => version00.test(value) || higher.test(value)

export function newTraceparent(): string {
  const id = randomBytes(24).toString('hex')
  return `00-${id.slice(0, 32)}-${id.slice(32)}-01`
}

export const traceIdOf = (traceparent: string): string => traceparent.slice(3, 35)
