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

/** What the middleware needs of a context: every release of Hono has it. */
interface AnyHonoContext {
  readonly req: {
    header(name: string): string | undefined
    readonly raw: { readonly headers: Headers }
  }
  readonly set: (name: never, value: never) => void
}

/**
 * Middleware for the application's own copy of Hono, which may be of another release than ours: the
 * contexts of two releases are not assignable to each other. Handlers get their types from the last part.
 */
export type CaracalMiddleware = ((
  c: AnyHonoContext,
  next: () => Promise<void>,
) => Promise<Response | undefined>) &
  MiddlewareHandler<CaracalEnv>

/** Lets requests with an acceptable mandate through; answers 401 or 403 to the others. */
export function caracalAuth(options: VerifierSource & BindOptions, route?: Requirements): CaracalMiddleware {
  const verifier = verifierOf(options)
  const middleware: MiddlewareHandler<CaracalEnv> = async (c, next) => {
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
  return middleware as CaracalMiddleware
}
