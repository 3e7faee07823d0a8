import type { CaracalError } from '../../platform/errors.ts'
import { type ErrorCode, errorOf } from '../../platform/http/errors/registry.ts'

/** A refusal of the coordinator: `{"error": code}`, with a `message` only where one is given here. */
export function refuse(
  code: ErrorCode,
  options: { readonly message?: string; readonly body?: Readonly<Record<string, unknown>> } = {},
): CaracalError {
  if (options.message === undefined)
    return errorOf(code, options.body === undefined ? {} : { body: options.body })
  return errorOf(code, { message: options.message, body: { message: options.message, ...options.body } })
}
