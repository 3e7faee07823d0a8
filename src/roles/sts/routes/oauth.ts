/** Metadata, introspection and revocation beside the token endpoint. */
import type { Hono } from 'hono'
import { requestContext } from '../../../platform/http/request-context.ts'
import type { Outbox } from '../../../platform/outbox/port.ts'
import type { ExchangeDeps } from '../exchange-deps.ts'
import { readForm } from '../form.ts'
import { introspect } from '../oauth/introspect.ts'
import { serverMetadata } from '../oauth/metadata.ts'
import { revokeToken } from '../oauth/revoke.ts'
import { postOnly } from './post-only.ts'

const noRepeats: ReadonlySet<string> = new Set()

export function mountOAuthRoutes(app: Hono, deps: ExchangeDeps & { readonly outbox: Outbox }): void {
  const metadata = serverMetadata(deps.issuer)
  app.get('/.well-known/oauth-authorization-server', (c) => {
    c.header('cache-control', 'public, max-age=300, must-revalidate')
    return c.json(metadata)
  })
  app.all(
    '/oauth/2/introspect',
    postOnly(async (c) => {
      const form = await readForm(c, noRepeats)
      return c.json(await introspect(form, requestContext(c).requestId, deps, c.req.raw))
    }),
  )
  app.all(
    '/oauth/2/revoke',
    postOnly(async (c) => {
      const form = await readForm(c, noRepeats)
      await revokeToken(form, requestContext(c).requestId, deps, c.req.raw)
      return c.body(null, 200)
    }),
  )
}
