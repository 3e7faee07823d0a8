/** `caracal/express`: mandates in front of Express routes (sdk-cli-console §9.3). */
import { type CaracalContext, runInContext } from '../sdk/context.ts'
import { authErrorBody, challengeHeaders, httpStatusForAuthError } from '../verify/auth-error.ts'
import type { Claims, Requirements } from '../verify/claims.ts'
import { type VerifierSource, verifierOf } from '../verify/fetch-standard.ts'
import { type BindOptions, contextOf } from './bound-context.ts'

declare global {
  namespace Express {
    interface Request {
      /** Claims of the verified mandate; set behind `caracalAuth`. */
      caracal?: Claims
      caracalClaims?: Claims
      caracalContext?: CaracalContext
    }
  }
}

interface IncomingRequest {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  caracal?: Claims
  caracalClaims?: Claims
  caracalContext?: CaracalContext
}

interface OutgoingResponse {
  statusCode: number
  setHeader(name: string, value: string): unknown
  end(body?: string): unknown
}

export type CaracalAuthHandler = (
  request: IncomingRequest,
  response: OutgoingResponse,
  next: (error?: unknown) => void,
) => void

/** Lets requests with an acceptable mandate through; answers 401 or 403 to the others. */
export function caracalAuth(options: VerifierSource & BindOptions, route?: Requirements): CaracalAuthHandler {
  const verifier = verifierOf(options)
  return (request, response, next) => {
    const authorization = request.headers.authorization
    const header = Array.isArray(authorization) ? undefined : authorization
    void verifier.authorization(header, route).then((result) => {
      if (!result.ok) {
        response.statusCode = httpStatusForAuthError(result.error.code)
        response.setHeader('content-type', 'application/json')
        for (const [name, value] of Object.entries(challengeHeaders(result.error)))
          response.setHeader(name, value)
        response.end(JSON.stringify(authErrorBody(result.error)))
        return
      }
      request.caracal = result.principal
      request.caracalClaims = result.principal
      const context = contextOf(result.principal, request.headers, header ?? '')
      request.caracalContext = context
      if (options.bindContext === false) next()
      else runInContext(context, () => next())
    }, next)
  }
}
