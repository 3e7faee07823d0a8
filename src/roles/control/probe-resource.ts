/**
 * Whether an upstream refuses a mandate nobody signed (gateway §21.4). The probe's key is
 * made for one request and thrown away, so what it carries is never a valid mandate.
 */
import { generateKeyPairSync } from 'node:crypto'
import { EgressError } from '../../platform/egress/guarded-fetch.ts'
import { errorOf } from '../../platform/http/errors/registry.ts'
import { uuidv4 } from '../../platform/ids.ts'
import { createSigner } from '../../platform/jose/compact.ts'
import { type Control, reading } from './control.ts'
import { visibleResource } from './create-resource.ts'
import { spendProbe } from './probe-budget.ts'
import type { Call } from './route.ts'
import { findProvider } from './store/providers.ts'

export interface ResourceCheck {
  readonly status: 'guarded' | 'unverified' | 'unreachable' | 'endpoint_error'
  readonly detail: string
  readonly checked_at: string
}

export interface ProbeTarget {
  readonly zoneId: string
  readonly identifier: string
  readonly upstreamUrl: string
}

const TIMEOUT_MS = 10_000
const LIFETIME_SECONDS = 60

function forgedMandate(issuer: string, target: ProbeTarget): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const now = Math.floor(Date.now() / 1000)
  return createSigner(`caracal-verify-probe-${uuidv4()}`, privateKey).sign({
    iss: issuer,
    sub: 'caracal-verification-probe',
    aud: target.identifier,
    zone_id: target.zoneId,
    use: 'resource',
    iat: now,
    exp: now + LIFETIME_SECONDS,
    jti: uuidv4(),
  })
}

function verdictOf(status: number): Omit<ResourceCheck, 'checked_at'> {
  if (status === 401 || status === 403)
    return { status: 'guarded', detail: `the upstream answered ${status}` }
  if (status >= 200 && status < 300) {
    return { status: 'unverified', detail: 'the upstream accepted a mandate nobody signed' }
  }
  return { status: 'endpoint_error', detail: `the upstream answered ${status}` }
}

/** Throws 503 `service_unconfigured` without an issuer, 429 over the budget. */
export async function probeResource(
  control: Control,
  target: ProbeTarget,
  signal: AbortSignal,
): Promise<ResourceCheck> {
  const issuer = control.settings.ISSUER_URL
  if (issuer === null) throw errorOf('service_unconfigured')
  await spendProbe(control, 'resourcetest', target.zoneId)
  const checked_at = new Date().toISOString()
  try {
    const answer = await control.egress.fetch(target.upstreamUrl, {
      method: 'HEAD',
      headers: { authorization: `Bearer ${forgedMandate(issuer, target)}` },
      allowHttp: true,
      timeoutMs: TIMEOUT_MS,
      signal,
    })
    return { ...verdictOf(answer.status), checked_at }
  } catch (error) {
    if (!(error instanceof EgressError)) throw error
    return { status: 'unreachable', detail: 'the upstream cannot be reached', checked_at }
  }
}

/** Probes a stored resource. Throws 400 `resource_verification_unsupported`, 404, 429, 503. */
export async function testResource(control: Control, call: Call<unknown, unknown>): Promise<ResourceCheck> {
  const resource = await visibleResource(control, call)
  const provider = await reading(control, call, (db) =>
    findProvider(db, call.zoneId, resource.credential_provider_id),
  )
  if (provider?.kind !== 'caracal_mandate' || resource.upstream_url === null) {
    throw errorOf('resource_verification_unsupported')
  }
  const target = { zoneId: call.zoneId, identifier: resource.identifier, upstreamUrl: resource.upstream_url }
  return probeResource(control, target, call.signal)
}
