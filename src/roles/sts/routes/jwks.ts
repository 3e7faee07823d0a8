/** `GET /.well-known/jwks.json` (sts §7.2): one zone's keys, or the union of all zones'. */
import type { Hono } from 'hono'
import { CaracalError } from '../../../platform/errors.ts'
import { invalidToken, resourceNotFound } from '../refusal.ts'
import type { SigningKeys } from '../signing-keys.ts'
import { storeFailure } from '../store-failure.ts'

export function mountJwksRoute(
  app: Hono,
  deps: { readonly keys: SigningKeys; readonly requireZone: boolean },
): void {
  app.get('/.well-known/jwks.json', async (c) => {
    const keys = await published(c.req.query('zone_id')?.trim() ?? '', deps)
    c.header('x-content-type-options', 'nosniff')
    c.header('cache-control', 'public, max-age=300, must-revalidate')
    return c.json({ keys })
  })
}

async function published(
  zoneId: string,
  deps: { readonly keys: SigningKeys; readonly requireZone: boolean },
) {
  if (zoneId === '' && deps.requireZone) throw invalidToken('zone_id is required')
  try {
    if (zoneId === '') return await deps.keys.publishedEverywhere()
    const keys = zoneId.includes('\0') ? null : await deps.keys.published(zoneId)
    if (keys === null) throw resourceNotFound('zone has no signing key')
    return keys
  } catch (error) {
    if (error instanceof CaracalError) throw error
    throw storeFailure(error, 'keys cannot be read')
  }
}
