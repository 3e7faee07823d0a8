/** What kind of failure a database error is. Every question here also looks at the error's causes. */

/** "Try again later" rather than "no" (audit-and-events §6.3). */
const transientStates = new Set([
  '40001',
  '40P01',
  '57P01',
  '57P02',
  '57P03',
  '08000',
  '08001',
  '08003',
  '08004',
  '08006',
  '53300',
  '53400',
])

const networkCodes = new Set([
  'CONNECTION_CLOSED',
  'CONNECTION_ENDED',
  'CONNECTION_DESTROYED',
  'CONNECT_TIMEOUT',
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ENOENT',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
  'ENOTFOUND',
  'EAI_AGAIN',
])

/** Thrown when the store does not answer in time. */
export class DatabaseTimeout extends Error {
  override readonly name = 'DatabaseTimeout'
}

export const storeTimeout = (ms: number): DatabaseTimeout =>
  new DatabaseTimeout(`the store did not answer within ${ms} ms`)

/** A failure of a connection, as the driver would name it. */
function connectionError(code: string, message: string): Error {
  return Object.assign(new Error(message), { code })
}

export const connectionLost = (code = 'CONNECTION_CLOSED'): Error =>
  connectionError(code, 'the connection to the store was lost')

export const poolClosed = (): Error => connectionError('CONNECTION_ENDED', 'the pool is closed')

function findCode(error: unknown, wanted: (code: string) => boolean): string | null {
  for (let at = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth += 1) {
    const code = (at as { code?: unknown }).code
    if (typeof code === 'string' && wanted(code)) return code
    if (at instanceof AggregateError) {
      for (const inner of at.errors) {
        const found = findCode(inner, wanted)
        if (found !== null) return found
      }
    }
  }
  return null
}

/** The SQLSTATE Postgres answered with, or null when it did not answer. */
export function sqlState(error: unknown): string | null {
  return findCode(error, (code) => /^[0-9A-Z]{5}$/.test(code) && !networkCodes.has(code))
}

/** The constraint a statement ran into, by its name in the schema. */
export function violatedConstraint(error: unknown): string | null {
  for (let at = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth += 1) {
    const name = (at as { constraint_name?: unknown }).constraint_name
    if (typeof name === 'string') return name
  }
  return null
}

export const isUniqueViolation = (error: unknown): boolean => sqlState(error) === '23505'

/** An earlier statement of the transaction failed; this one was not run. */
export const isAborted = (error: unknown): boolean => sqlState(error) === '25P02'

/** Two transactions stood in each other's way; running one again will do. */
export function isSerializationFailure(error: unknown): boolean {
  const state = sqlState(error)
  return state === '40001' || state === '40P01'
}

/** True for errors that mean "Postgres cannot be asked" rather than "Postgres said no". */
export function isUnavailable(error: unknown): boolean {
  if (error instanceof DatabaseTimeout) return true
  return findCode(error, (code) => transientStates.has(code) || networkCodes.has(code)) !== null
}

/** A statement that ran into its time-out waited for somebody else. */
const statementTimeout = '57014'

/** True for errors that mean "later" to who asked, rather than "our fault": asking again helps. */
export function helpsToRetry(error: unknown): boolean {
  return isUnavailable(error) || sqlState(error) === statementTimeout
}
