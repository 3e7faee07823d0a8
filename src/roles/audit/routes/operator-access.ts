import type { MiddlewareHandler } from 'hono'
import { hasStaticBearer } from '../../../platform/http/bearer.ts'
import { errorOf } from '../../../platform/http/errors/registry.ts'

/** Guards the operator surface (audit-and-events §7.2): hidden without `AUDIT_ADMIN_TOKEN`, else 401 for anyone else. */
export function operatorAccess(token: string | null): MiddlewareHandler {
  return (c, next) => {
    if (!token) throw errorOf('not_found')
    if (!hasStaticBearer(c, token)) {
      throw errorOf('unauthorized', { headers: { 'www-authenticate': 'Bearer realm="caracal-audit"' } })
    }
    c.header('cache-control', 'no-store')
    return next()
  }
}
