/**
 * Policy set manifests: an ordered list of policy versions and its hash (sts §6.7,
 * control-api §7.12). Pure parts only; whether a version exists is the store's business.
 */
import { createHash } from 'node:crypto'
import { POLICY_SCHEMA_VERSION } from './contract.ts'

/** Most policy versions one set may bind. */
export const MAX_MANIFEST_ENTRIES = 256

/** Manifest hash reported while a zone has no active policy set. */
export const NO_POLICY_MANIFEST = 'no_active_policy_set'

export type ManifestReading =
  | {
      readonly ok: true
      readonly policyVersionIds: readonly string[]
      readonly canonical: string
      readonly sha256: string
    }
  | { readonly ok: false; readonly message: string }

/**
 * Reads `manifest_json` (parsed JSON): 1–256 entries, each with a non-empty
 * `policy_version_id`, no id twice; other members of an entry are dropped.
 * `canonical` is the compact JSON that `sha256` (lower-case hex) covers.
 */
export function readManifest(manifest: unknown): ManifestReading {
  if (!Array.isArray(manifest)) return { ok: false, message: 'manifest must be an array' }
  if (manifest.length === 0)
    return { ok: false, message: 'manifest must contain at least one policy version' }
  if (manifest.length > MAX_MANIFEST_ENTRIES) {
    return { ok: false, message: `manifest must contain at most ${MAX_MANIFEST_ENTRIES} policy versions` }
  }
  const ids: string[] = []
  const seen = new Set<string>()
  for (const [index, entry] of manifest.entries()) {
    const id: unknown = typeof entry === 'object' && entry !== null ? entry.policy_version_id : undefined
    if (typeof id !== 'string' || id === '') {
      return { ok: false, message: `manifest entry ${index} must have a policy_version_id` }
    }
    if (seen.has(id)) return { ok: false, message: `manifest contains duplicate policy version ${id}` }
    seen.add(id)
    ids.push(id)
  }
  const canonical = canonicalManifest(ids)
  return { ok: true, policyVersionIds: ids, canonical, sha256: sha256Hex(canonical) }
}

/** Compact JSON with exactly the key `policy_version_id` per entry, in order. */
export function canonicalManifest(policyVersionIds: readonly string[]): string {
  return JSON.stringify(policyVersionIds.map((id) => ({ policy_version_id: id })))
}

/** Lower-case hex SHA-256 of the canonical manifest. */
export function manifestSha256(policyVersionIds: readonly string[]): string {
  return sha256Hex(canonicalManifest(policyVersionIds))
}

/** `content_sha256`: lower-case hex SHA-256 of the exact UTF-8 content. */
export function contentSha256(content: string): string {
  return sha256Hex(content)
}

function sha256Hex(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex')
}

/** `null` when documents of this schema version can be loaded, else the public refusal (sts §16.3). */
export function schemaVersionProblem(schemaVersion: string): string | null {
  return schemaVersion === POLICY_SCHEMA_VERSION ? null : `unsupported_schema_version:${schemaVersion}`
}
