import type { CaracalError } from '../../platform/errors.ts'
import { type ErrorCode, errorOf } from '../../platform/http/errors/registry.ts'

interface RefusalOptions {
  readonly message?: string
  readonly body?: Readonly<Record<string, unknown>>
  readonly status?: number
}

/** A refusal of the coordinator: `{"error": code}`, with a `message` only where one is given here. */
export function refuse(code: ErrorCode, { message, body, status }: RefusalOptions = {}): CaracalError {
  return errorOf(code, {
    ...(status === undefined ? {} : { status }),
    ...(message === undefined ? { body: body ?? {} } : { message, body: { message, ...body } }),
  })
}
