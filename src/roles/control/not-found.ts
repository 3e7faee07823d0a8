/** The 404 of every collection, in one place: code and sentence never tell whether the object exists elsewhere. */
import { CaracalError } from '../../platform/errors.ts'

export function notFound(code: `${string}_not_found`): CaracalError {
  const object = code.slice(0, -'_not_found'.length).replaceAll('_', ' ')
  return new CaracalError(code, { status: 404, message: `no such ${object}` })
}

/** The value, or 404 with `code`. */
export function found<T>(value: T | null, code: `${string}_not_found`): T {
  if (value === null) throw notFound(code)
  return value
}

export function conflict(code: string, message: string): CaracalError {
  return new CaracalError(code, { status: 409, message })
}

export function invalid(code: string, message: string): CaracalError {
  return new CaracalError(code, { status: 400, message })
}

export const noFields = () => invalid('no_fields', 'the body names no field to change')
