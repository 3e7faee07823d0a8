/**
 * The one registry of error codes: code, default status, public sentence. A code that
 * is not here cannot be thrown with `errorOf`, so the list is the documentation.
 */
import { CaracalError, type CaracalErrorOptions } from '../../errors.ts'
import { commonCodes } from './common-codes.ts'
import { controlCodes } from './control-codes.ts'
import { coordinatorCodes } from './coordinator-codes.ts'
import { stsCodes } from './sts-codes.ts'

export const errorRegistry = { ...commonCodes, ...stsCodes, ...coordinatorCodes, ...controlCodes } as const

export type ErrorCode = keyof typeof errorRegistry

export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(errorRegistry, code)
}

/** The error of a registered code; status and message come from the registry unless given. */
export function errorOf(code: ErrorCode, options: Partial<CaracalErrorOptions> = {}): CaracalError {
  const [status, message] = errorRegistry[code]
  return new CaracalError(code, { status, message, ...options })
}
