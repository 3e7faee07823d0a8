/**
 * Routes for our own processes (sts §6.8, §7.3): policy simulation and status under
 * the gateway's signature scheme, key rotation under `STS_ADMIN_TOKEN`.
 */
import type { Context, Hono } from 'hono'
import type { Ephemera } from '../../../platform/ephemera/port.ts'
import { CaracalError } from '../../../platform/errors.ts'
import { hasStaticBearer } from '../../../platform/http/bearer.ts'
import { readBody } from '../../../platform/http/body.ts'
import { headerOf, pathOf } from '../../../platform/http/incoming.ts'
import type { HmacKey } from '../../../platform/keys.ts'
import * as v from '../../../platform/schema.ts'
import { targetOf } from '../form.ts'
import { verifyGatewaySignature } from '../gateway-signature.ts'
import type { PolicyBundles } from '../policy-bundles.ts'
import { invalidToken, resourceNotFound } from '../refusal.ts'
import type { SigningKeys } from '../signing-keys.ts'
import { simulate } from '../simulate.ts'

export interface InternalRouteDeps {
  readonly ephemera: Ephemera
  readonly gatewayKey: HmacKey
  readonly bundles: PolicyBundles
  readonly keys: SigningKeys
  readonly adminToken: string | null
  readonly publishAheadMs: number
}

const maxSimulationBytes = 16 * 1024 * 1024

const simulationBody = v.object({
  policy_set_id: v.optional(v.string(), ''),
  version_id: v.optional(v.string(), ''),
  manifest_sha256: v.optional(v.string(), ''),
  policies: v.array(v.object({ id: v.string(), content: v.string() })),
  input: v.optional(v.record(v.string(), v.unknown()), {}),
})

export function mountInternalRoutes(app: Hono, deps: InternalRouteDeps): void {
  app.post('/internal/policy/simulate', async (c) => {
    const body = await readSimulation(c)
    await verifyCaller(c, body, deps)
    const result = simulate(parseSimulation(body))
    if (!result.ok) {
      throw new CaracalError(result.error, { status: result.status, message: result.description })
    }
    const { ok: _, ...answer } = result
    return c.json(answer)
  })

  app.get('/internal/policy/status/:zoneId', async (c) => {
    await verifyCaller(c, new Uint8Array(0), deps)
    return c.json(await deps.bundles.status(c.req.param('zoneId')))
  })

  app.post('/internal/zones/:zoneId/signing-key/rotate', async (c) => {
    if (deps.adminToken === null) throw resourceNotFound('not found')
    if (!hasStaticBearer(c, deps.adminToken)) {
      throw new CaracalError('access_denied', {
        status: 401,
        message: 'admin token required',
        headers: { 'www-authenticate': 'Bearer realm="caracal-sts"' },
      })
    }
    const zoneId = c.req.param('zoneId')
    const aheadMs = c.req.query('immediate') === 'true' ? 0 : deps.publishAheadMs
    const kid = zoneId.includes('\0') ? null : await deps.keys.rotate(zoneId, aheadMs)
    if (kid === null) throw resourceNotFound('zone does not exist')
    return c.json({ rotated: true, zone_id: zoneId, kid })
  })
}

function verifyCaller(c: Context, body: Uint8Array, deps: InternalRouteDeps): Promise<void> {
  return verifyGatewaySignature(
    {
      header: (name) => headerOf(c, name),
      method: c.req.method,
      path: pathOf(targetOf(c)),
      body,
      nowSeconds: Date.now() / 1000,
    },
    deps.gatewayKey,
    deps.ephemera,
  )
}

async function readSimulation(c: Context): Promise<Buffer> {
  try {
    return await readBody(c, maxSimulationBytes)
  } catch (cause) {
    throw invalidToken(`body cannot be read or exceeds ${maxSimulationBytes} bytes`, 400, { cause })
  }
}

function parseSimulation(body: Buffer) {
  let document: unknown
  try {
    document = JSON.parse(body.toString('utf8'))
  } catch (cause) {
    throw invalidToken('body is not valid JSON', 400, { cause })
  }
  const parsed = v.safeParse(simulationBody, document)
  if (!parsed.success) throw invalidToken('body is not a simulation')
  return parsed.output
}
