import { CaracalError } from '../../platform/errors.ts'

/** A refusal of the coordinator: `{"error": code}` and, where the spec says so, further members. */
export function refuse(
  status: number,
  code: string,
  options: {
    readonly message?: string
    readonly detail?: string
    readonly body?: Record<string, unknown>
  } = {},
): CaracalError {
  return new CaracalError(code, {
    status,
    message: options.message ?? code,
    ...(options.detail === undefined ? {} : { detail: options.detail }),
    body: { ...(options.message === undefined ? {} : { message: options.message }), ...options.body },
  })
}
