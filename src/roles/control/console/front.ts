/** What the port for people serves: everything of the management port, and the console at every path left over. */
import { type Context, Hono } from 'hono'
import { controlErrors } from '../../../platform/http/error-style.ts'
import { errorOf } from '../../../platform/http/errors/registry.ts'
import { headerOf } from '../../../platform/http/incoming.ts'
import { renderError, toCaracalError } from '../../../platform/http/render-error.ts'
import type { Control } from '../control.ts'
import { securityHeaders } from './headers.ts'

/** Paths that are no place inside the app although nobody claims them. */
const notOurs = /^\/(?:api|v1)(?:\/|$)|\/\.(?!$)/

interface FrontDeps extends Pick<Control, 'settings'> {
  /** Has all its routes. */
  readonly app: Hono
  readonly pages: (c: Context) => Response
}

export function consoleFront({ settings, app, pages }: FrontDeps): Hono {
  const front = new Hono()
  const everywhere = Object.entries(securityHeaders({ settings }))
  front.use(async (c, next) => {
    for (const [name, value] of everywhere) c.header(name, value)
    await next()
  })
  front.route('/', app)
  front.get('*', (c) => {
    // Who brings a credential is a program that mistook a path, and must not take a page for an answer.
    const isProgram = ['authorization', 'x-api-key'].some((name) => headerOf(c, name) !== undefined)
    if (isProgram || notOurs.test(c.req.path)) throw errorOf('not_found')
    return pages(c)
  })
  front.notFound((c) => renderError(c, errorOf('not_found'), controlErrors))
  front.onError((error, c) => renderError(c, toCaracalError(error), controlErrors))
  return front
}
