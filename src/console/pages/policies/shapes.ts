/** What the management API answers about policies and policy sets (control-api §7.10–§7.12). */
import { api, inZone } from '../../api.ts'

export interface Policy {
  readonly id: string
  readonly name: string
  readonly description: string | null
  readonly created_at: string
  readonly updated_at: string | null
}

export interface PolicyVersion {
  readonly id: string
  readonly version: number
  readonly content: string
  readonly content_sha256: string
  readonly created_by: string
  readonly created_at: string
}

export interface PolicyWithVersions extends Policy {
  /** Newest first. */
  readonly versions: readonly PolicyVersion[]
}

export interface PolicySet {
  readonly id: string
  readonly name: string
  readonly description: string | null
  readonly created_at: string
  readonly updated_at: string | null
  readonly active_version_id: string | null
}

export interface PolicySetVersion {
  readonly id: string
  readonly version: number
  readonly manifest_sha256: string
  readonly created_by: string
  readonly created_at: string
}

export interface Activation {
  readonly version_id: string
  /** The event that carries it to every process. */
  readonly outbox_id: string
}

/** All policies with their versions; a manifest names versions only. */
export async function loadPolicies(
  zoneId: string,
  signal: AbortSignal,
): Promise<readonly PolicyWithVersions[]> {
  const policies = await api.list<Policy>(inZone(zoneId, '/policies'), signal)
  return Promise.all(policies.map(({ id }) => loadPolicy(zoneId, id, signal)))
}

export const loadPolicy = (zoneId: string, id: string, signal: AbortSignal) =>
  api.get<PolicyWithVersions>(inZone(zoneId, `/policies/${encodeURIComponent(id)}`), signal)

/** The policy versions that a version of a set holds, in order. */
export async function loadManifest(
  zoneId: string,
  setId: string,
  versionId: string,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const version = await api.get<{ readonly policies: readonly string[] }>(
    inZone(zoneId, `/policy-sets/${encodeURIComponent(setId)}/versions/${encodeURIComponent(versionId)}`),
    signal,
  )
  return version.policies
}
