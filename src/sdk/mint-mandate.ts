/** Mandates under the current session and delegation (sdk-cli-console §4.5). */
import { type CaracalContext, currentContext } from './context.ts'
import type { ClientCore } from './core.ts'
import { ApprovalRequiredError, CaracalError } from './errors.ts'

export interface MintOptions {
  readonly ttlSeconds?: number | undefined
  readonly approvalId?: string | undefined
  /** Default: the current context. */
  readonly ctx?: CaracalContext | undefined
  readonly signal?: AbortSignal | undefined
}

export interface MintedMandate {
  readonly token: string
  readonly expiresInSeconds: number
}

const hint =
  'this session has lifecycle authority only: give it a delegation with Authority.narrow or acceptDelegation, or use applicationTransport'

/** One-use mandates (session and delegation) and approved ones are never cached. */
export async function mintMandate(
  core: ClientCore,
  resourceId: string,
  scopes: readonly string[],
  options: MintOptions,
  context: CaracalContext | undefined = options.ctx ?? currentContext(),
  cache = true,
): Promise<MintedMandate> {
  core.assertOpen()
  if (core.exchanger === null) throw new Error('minting needs client credentials, not a token')
  const { sessionId, delegationId } = context ?? {}
  const oneShot = sessionId !== undefined && delegationId !== undefined
  try {
    const mandate = await core.exchanger.exchange({
      resources: [resourceId],
      scopes,
      sessionId,
      delegationId,
      ttlSeconds: options.ttlSeconds,
      approvalId: options.approvalId,
      cache: cache && !oneShot,
      signal: options.signal,
    })
    return { token: mandate.accessToken, expiresInSeconds: mandate.expiresInSeconds }
  } catch (error) {
    const lacksDelegation = sessionId !== undefined && delegationId === undefined
    if (!(error instanceof CaracalError) || error instanceof ApprovalRequiredError) throw error
    if (error.code !== 'access_denied' || !lacksDelegation) throw error
    const { requestId, details, httpStatus } = error
    throw new CaracalError(error.code, `${error.message} (${hint})`, {
      requestId,
      details,
      httpStatus,
      cause: error,
    })
  }
}
