/** Errors of the client: what the server answered, in fields a program can act on (sdk-cli-console §4.7). */

const retryableCodes: ReadonlySet<string> = new Set(['sts_unavailable', 'provider_rate_limited'])
const retryableStatuses: ReadonlySet<number> = new Set([408, 425, 429])

export interface CaracalErrorFacts {
  readonly requestId?: string | undefined
  readonly details?: Readonly<Record<string, unknown>> | undefined
  readonly httpStatus?: number | undefined
  readonly cause?: unknown
}

/** A refusal or failure of the STS. */
export class CaracalError extends Error {
  override readonly name: string = 'CaracalError'
  readonly code: string
  readonly requestId: string | undefined
  readonly details: Readonly<Record<string, unknown>> | undefined
  readonly httpStatus: number | undefined

  constructor(code: string, message: string, facts: CaracalErrorFacts = {}) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause })
    this.code = code
    this.requestId = facts.requestId
    this.details = facts.details
    this.httpStatus = facts.httpStatus
  }

  /** Whether the same request may succeed later, without anything being changed. */
  get isRetryable(): boolean {
    const status = this.httpStatus ?? 0
    return retryableCodes.has(this.code) || retryableStatuses.has(status) || status >= 500
  }

  toJSON(): Record<string, unknown> {
    return {
      error: this.code,
      error_description: this.message,
      ...(this.requestId === undefined ? {} : { requestId: this.requestId }),
      ...(this.details === undefined ? {} : { details: this.details }),
    }
  }
}

export interface ApprovalHold {
  readonly approvalId: string
  /** The first requested resource. */
  readonly resource: string
  readonly state: string
  readonly tier?: string | undefined
  readonly binding: string
  readonly expiresAt?: string | undefined
}

/** A human has to approve first; retry with `approvalId` once that happened. */
export class ApprovalRequiredError extends CaracalError {
  override readonly name: string = 'ApprovalRequiredError'
  readonly approvalId: string
  readonly resource: string
  readonly state: string
  readonly tier: string | undefined
  readonly binding: string
  readonly expiresAt: string | undefined

  constructor(message: string, hold: ApprovalHold, facts: CaracalErrorFacts = {}) {
    super('interaction_required', message, facts)
    this.approvalId = hold.approvalId
    this.resource = hold.resource
    this.state = hold.state
    this.tier = hold.tier
    this.binding = hold.binding
    this.expiresAt = hold.expiresAt
  }
}

export function isApprovalRequired(error: unknown): error is ApprovalRequiredError {
  return error instanceof ApprovalRequiredError
}

export interface CoordinatorErrorFacts {
  readonly method: string
  readonly path: string
  readonly status: number
  readonly code?: string | undefined
  readonly requestId?: string | undefined
  readonly retryAfterSeconds?: number | undefined
  readonly body?: string | undefined
}

const longestBody = 2048

/** The coordinator answered outside 2xx. */
export class CoordinatorError extends Error {
  override readonly name = 'CoordinatorError'
  readonly method: string
  readonly path: string
  readonly status: number
  readonly code: string | undefined
  readonly requestId: string | undefined
  readonly retryAfterSeconds: number | undefined

  constructor(facts: CoordinatorErrorFacts) {
    const body = (facts.body ?? '').slice(0, longestBody)
    super(
      `coordinator ${facts.method} ${facts.path} answered ${facts.status}${body === '' ? '' : `: ${body}`}`,
    )
    this.method = facts.method
    this.path = facts.path
    this.status = facts.status
    this.code = facts.code
    this.requestId = facts.requestId
    this.retryAfterSeconds = facts.retryAfterSeconds
  }
}

/** The credentials resolver had nothing to give. */
export class CredentialsUnavailableError extends Error {
  override readonly name = 'CredentialsUnavailableError'

  constructor(message = 'no credentials are available for this operation') {
    super(message)
  }
}
