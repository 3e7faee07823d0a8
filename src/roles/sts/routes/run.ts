/** The launcher's two routes (sts §14). */
import type { Context, Hono } from 'hono'
import { requestContext } from '../../../platform/http/request-context.ts'
import type { ExchangeDeps } from '../exchange-deps.ts'
import { readForm } from '../form.ts'
import { bindingDocument } from '../run/bindings.ts'
import { runCredential } from '../run/credential.ts'
import { runManifest } from '../run/manifest.ts'
import { type Launch, launchIdOf } from '../run/workload.ts'
import { postOnly } from './post-only.ts'

const noRepeats: ReadonlySet<string> = new Set()

export function mountRunRoutes(app: Hono, deps: ExchangeDeps): void {
  app.all(
    '/v1/run/manifest',
    postOnly(async (c) => {
      const form = await readForm(c, noRepeats)
      const manifest = await runManifest(form, launchOf(c), deps)
      return c.json({
        zone_id: manifest.zoneId,
        workload_id: manifest.workloadId,
        bindings: manifest.bindings.map(bindingDocument),
      })
    }),
  )
  app.all(
    '/v1/run/credential',
    postOnly(async (c) => {
      const form = await readForm(c, noRepeats)
      const { env, credential, expiresAt } = await runCredential(form, launchOf(c), deps)
      return c.json({ env, credential, ...(expiresAt === null ? {} : { expires_at: expiresAt }) })
    }),
  )
}

function launchOf(c: Context): Launch {
  return {
    requestId: requestContext(c).requestId,
    launchId: launchIdOf(c.req.header('x-caracal-launch-id')),
  }
}
