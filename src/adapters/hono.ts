/** `caracal/hono`: mandates in front of Hono routes (sdk-cli-console §11.2). */
import type { MiddlewareHandler } from 'hono'
import { type CaracalContext, runInContext } from '../sdk/context.ts'
import { authErrorBody, challengeHeaders, httpStatusForAuthError } from '../verify/auth-error.ts'
import type { Claims, Requirements } from '../verify/claims.ts'
import { type VerifierSource, verifierOf } from '../verify/fetch-standard.ts'
import { type BindOptions, contextOf } from './bound-context.ts'

/** `new Hono<CaracalEnv>()` gives `c.get('caracal')` and `c.get('caracalContext')` their types. */
export interface CaracalEnv {
  Variables: {
    caracal: Claims
    caracalContext: CaracalContext
  }
}

/** Lets requests with an acceptable mandate through; answers 401 or 403 to the others. */
export function caracalAuth(
  options: VerifierSource & BindOptions,
  route?: Requirements,
): MiddlewareHandler<CaracalEnv> {
  const verifier = verifierOf(options)
  return async (c, next) => {
    const header = c.req.header('authorization')
    const result = await verifier.authorization(header, route)
    if (!result.ok)
      return c.json(
        authErrorBody(result.error),
        httpStatusForAuthError(result.error.code),
        challengeHeaders(result.error),
      )
    const context = contextOf(result.principal, c.req.raw.headers, header ?? '')
    c.set('caracal', result.principal)
    c.set('caracalContext', context)
    if (options.bindContext === false) await next()
    else await runInContext(context, next)
    return undefined
  }
}
