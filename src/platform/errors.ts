/**
 * The one error type that crosses rooms. `message` is public and goes on the wire;
 * `detail` is private and goes to the log. A style's renderer (OAuth, admin,
 * coordinator, control envelope) turns it into a body; anything else that is
 * thrown becomes `internal_error` without detail.
 */
export interface CaracalErrorOptions {
  readonly status: number
  /** Public sentence; never a secret, a stack or another tenant's existence. */
  readonly message: string
  /** Private explanation for the log. */
  readonly detail?: string
  /** Further public members of the body (for example `details`, `approval_id`, `issues`). */
  readonly body?: Readonly<Record<string, unknown>>
  readonly headers?: Readonly<Record<string, string>>
  readonly cause?: unknown
}

export class CaracalError extends Error {
  override readonly name = 'CaracalError'
  readonly code: string
  readonly status: number
  readonly detail: string | undefined
  readonly body: Readonly<Record<string, unknown>>
  readonly headers: Readonly<Record<string, string>>

  constructor(code: string, options: CaracalErrorOptions) {
    super(options.message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.status = options.status
    this.detail = options.detail
    this.body = options.body ?? {}
    this.headers = options.headers ?? {}
  }
}
