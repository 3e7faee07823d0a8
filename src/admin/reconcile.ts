/** Bring a zone to a wanted state, any number of times (control-api §11). */
import { createHash } from 'node:crypto'
import { pause } from '../sdk/deadline.ts'
import type { AdminClient, Row } from './admin-client.ts'
import { type ApplicationGrant, authorGrantsDocument, canonical } from './identifiers.ts'

type Body = Readonly<Record<string, unknown>>

export interface Ensured {
  readonly id: string
  readonly changed: boolean
}

/**
 * A managed application called `name` with this secret, which is set in every run. Throws for
 * one that registered itself or expires.
 */
export async function ensureApplication(
  admin: AdminClient,
  zone: string,
  wanted: { readonly name: string; readonly clientSecret: string; readonly traits?: readonly string[] },
): Promise<Ensured> {
  const found = (await admin.applications.list(zone)).find(({ name }) => name === wanted.name)
  if (found !== undefined && (found.registration_method === 'dcr' || (found.expires_at ?? null) !== null))
    throw new Error(`application ${wanted.name} registered itself or expires: it is not managed`)
  let id = found?.id
  let changed = false
  if (id === undefined) {
    const { name, traits } = wanted
    const body = { name, registration_method: 'managed', ...(traits === undefined ? {} : { traits }) }
    id = (await admin.applications.create(zone, body)).id
    changed = true
  } else if (wanted.traits !== undefined && !sameSet(found?.traits, wanted.traits)) {
    await admin.applications.patch(zone, id, { traits: wanted.traits })
    changed = true
  }
  await admin.applications.patch(zone, id, { client_secret: wanted.clientSecret })
  return { id, changed }
}

export interface WantedProvider {
  readonly name: string
  readonly identifier: string
  readonly config: Body
  /** Without one a sealed secret stays as it is. */
  readonly secret?: string | undefined
}

export function ensureApiKeyProvider(
  admin: AdminClient,
  zone: string,
  wanted: WantedProvider,
): Promise<Ensured> {
  return ensureProvider(admin, zone, wanted, 'api_key', 'api_key')
}

export function ensureClientCredentialsProvider(
  admin: AdminClient,
  zone: string,
  wanted: WantedProvider,
): Promise<Ensured> {
  return ensureProvider(admin, zone, wanted, 'oauth2_client_credentials', 'client_secret')
}

async function ensureProvider(
  admin: AdminClient,
  zone: string,
  wanted: WantedProvider,
  kind: string,
  secretName: string,
): Promise<Ensured> {
  const { name, identifier, config, secret } = wanted
  const found = (await admin.providers.list(zone)).find((one) => one.identifier === identifier)
  const full = secret === undefined ? config : { ...config, [secretName]: secret }
  if (found !== undefined) {
    await admin.providers.patch(zone, found.id, {
      ...(secret === undefined ? {} : { kind }),
      config_json: full,
    })
    return { id: found.id, changed: true }
  }
  if (secret === undefined)
    throw new Error(`provider ${identifier} does not exist and no secret is given for it`)
  const created = await admin.providers.create(zone, { name, identifier, kind, config_json: full })
  return { id: created.id, changed: true }
}

export interface WantedResource {
  readonly identifier: string
  readonly name: string
  readonly [member: string]: unknown
}

/** The resource called `identifier`; only members that differ are changed. */
export async function ensureResource(
  admin: AdminClient,
  zone: string,
  wanted: WantedResource,
): Promise<Ensured> {
  const found = (await admin.resources.list(zone)).find(({ identifier }) => identifier === wanted.identifier)
  if (found === undefined) return { id: (await admin.resources.create(zone, wanted)).id, changed: true }
  const drifted = Object.entries(wanted).filter(([name, value]) => !isSame(found[name], value))
  if (drifted.length > 0) await admin.resources.patch(zone, found.id, Object.fromEntries(drifted))
  return { id: found.id, changed: drifted.length > 0 }
}

export interface WantedPolicySet {
  readonly policyName: string
  readonly policySetName: string
  readonly content: string
}

export interface EnsuredPolicySet {
  readonly policyId: string
  readonly policySetId: string
  readonly policyVersionId: string
  /** The active version of the set: what `waitUntilLoaded` waits for. */
  readonly policySetVersionId: string
  readonly changed: boolean
}

/** One policy with this content, alone in an active set; also where an earlier run was interrupted. */
export async function ensureActivePolicySet(
  admin: AdminClient,
  zone: string,
  wanted: WantedPolicySet,
): Promise<EnsuredPolicySet> {
  const policy = await ensurePolicy(admin, zone, wanted)
  const sets = await admin.policySets.list(zone)
  const set =
    sets.find(({ name }) => name === wanted.policySetName) ??
    (await admin.policySets.create(zone, { name: wanted.policySetName }))
  const active = await activeVersion(admin, zone, set)
  const manifest = sha256(JSON.stringify([{ policy_version_id: policy.versionId }]))
  const ids = { policyId: policy.id, policySetId: set.id, policyVersionId: policy.versionId }
  if (active?.manifest_sha256 === manifest) return { ...ids, policySetVersionId: active.id, changed: false }
  const { version_id: added } = await admin.policySets.addVersion(zone, set.id, [policy.versionId])
  await admin.policySets.activate(zone, set.id, added)
  return { ...ids, policySetVersionId: added, changed: true }
}

async function activeVersion(admin: AdminClient, zone: string, set: Row): Promise<Row | undefined> {
  const active = set.active_version_id ?? null
  if (active === null) return undefined
  return (await admin.policySets.versions(zone, set.id)).find(({ id }) => id === active)
}

async function ensurePolicy(
  admin: AdminClient,
  zone: string,
  wanted: WantedPolicySet,
): Promise<{ readonly id: string; readonly versionId: string }> {
  const { policyName: name, content } = wanted
  const found = (await admin.policies.list(zone)).find((one) => one.name === name)
  if (found === undefined) {
    const created = await admin.policies.create(zone, { name, content })
    return { id: created.id, versionId: created.version_id }
  }
  const { versions } = await admin.policies.get(zone, found.id)
  const latest = (
    Array.isArray(versions) ? (versions as (Row & { readonly version?: number })[]) : []
  ).reduce<(Row & { readonly version?: number }) | undefined>(
    (best, one) => ((one.version ?? 0) >= (best?.version ?? 0) ? one : best),
    undefined,
  )
  if (latest?.content_sha256 === sha256(content)) return { id: found.id, versionId: latest.id }
  const added = await admin.policies.addVersion(zone, found.id, content)
  return { id: found.id, versionId: added.version_id }
}

/** The zone's grants as one document in the policy set `application-grant-policy`. */
export function ensureGrants(
  admin: AdminClient,
  zone: string,
  grants: readonly ApplicationGrant[],
): Promise<EnsuredPolicySet> {
  return ensureActivePolicySet(admin, zone, {
    policyName: 'application-grants',
    policySetName: 'application-grant-policy',
    content: authorGrantsDocument(grants),
  })
}

export interface GovernedUpstream {
  readonly provider: WantedProvider
  readonly resource: WantedResource
  readonly grant: Omit<ApplicationGrant, 'resource'>
}

/** Provider, resource and grants of several upstreams, in this order. */
export async function ensureGovernedUpstreams(
  admin: AdminClient,
  zone: string,
  upstreams: readonly GovernedUpstream[],
): Promise<EnsuredPolicySet> {
  for (const { provider, resource } of upstreams) {
    const { id } = await ensureApiKeyProvider(admin, zone, provider)
    await ensureResource(admin, zone, { ...resource, credential_provider_id: id })
  }
  return ensureGrants(
    admin,
    zone,
    upstreams.map(({ resource, grant }) => ({ ...grant, resource: resource.identifier })),
  )
}

/** Waits until every STS that is asked has loaded the version; throws when it failed or took too long. */
export async function waitUntilLoaded(
  admin: AdminClient,
  zone: string,
  policySetId: string,
  versionId: string,
  timeoutMs = 15_000,
): Promise<void> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const { propagation_status: status } = await admin.policySets.activationStatus(zone, policySetId, {
      version_id: versionId,
    })
    if (status === 'loaded') return
    if (status === 'failed' || performance.now() > deadline)
      throw new Error(`the policy set is ${status} after ${timeoutMs} ms`)
    await pause(50)
  }
}

function sha256(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex')
}

function isSame(present: unknown, wanted: unknown): boolean {
  if (Array.isArray(present) && Array.isArray(wanted) && wanted.every((one) => typeof one === 'string'))
    return sameSet(present, wanted as string[])
  return canonical(present ?? null) === canonical(wanted ?? null)
}

function sameSet(present: unknown, wanted: readonly string[]): boolean {
  return Array.isArray(present) && canonical([...present].sort()) === canonical([...wanted].sort())
}
