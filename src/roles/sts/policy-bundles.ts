/**
 * The compiled policy of every zone (sts §6.7). The active version id of a zone is
 * part of each read snapshot and is compared here, so an activation decides the very
 * next exchange on every replica; events and the poll only save that exchange the load.
 *
 * A version whose documents cannot be used makes its zone deny everything. A version
 * that cannot be *read*, or whose manifest was tampered with, leaves the bundle that
 * is in force in place; without one the zone denies everything.
 */
import { LRUCache } from 'lru-cache'
import type { Logger } from 'pino'
import type { Database } from '../../platform/db/port.ts'
import {
  compileBundle,
  denyAllBundle,
  NO_POLICY_MANIFEST,
  type PolicyBundle,
  readManifest,
  schemaVersionProblem,
} from '../../policy/index.ts'
import type { PolicyStatus } from './port.ts'
import {
  type ActiveBinding,
  readAllBindings,
  readBindings,
  readPolicySetVersion,
  readPolicyVersions,
} from './store/policy-set.ts'

export interface LoadedBundle {
  readonly bundle: PolicyBundle
  readonly manifestSha: string
  readonly policySetId: string | null
  /** `null` for the deny-all bundle of a zone without an active set. */
  readonly policySetVersionId: string | null
  /** Milliseconds since the epoch. */
  readonly loadedAt: number
}

export interface PolicyBundles {
  /** The bundle for the binding a snapshot saw; at once when it is loaded already. Rejects when it must be read and cannot. */
  at(zoneId: string, binding: ActiveVersion | null): LoadedBundle | Promise<LoadedBundle>
  /** The version that is in force here; `null` for none, or for a zone not known yet. */
  versionInForce(zoneId: string): string | null
  /** The bundle in force, read first when the zone is not known yet. */
  status(zoneId: string): Promise<PolicyStatus>
  /** Reads the binding and swaps the bundle if it changed (event). */
  reload(zoneId: string): Promise<void>
  /** Reads the bindings of all known zones; the poll has a log of its own. */
  refresh(log?: Logger): Promise<void>
  /** Loads zones with an active binding before the first request. */
  preload(): Promise<void>
  /** Age of the oldest loaded bundle in seconds, 0 without one. */
  maxAgeSeconds(): number
}

export interface ActiveVersion {
  readonly policySetId: string
  readonly versionId: string
}

export interface PolicyBundleDeps {
  readonly db: Database
  readonly log: Logger
  /** Called for every compile with its duration in seconds. */
  readonly onCompiled: (seconds: number, failed: boolean) => void
}

const maxZones = 10_000
const preloadZones = 1_000
/** After a version could not be read it is tried again at most this often. */
const retryMs = 5_000

/** Reading failed in a way that says nothing about the documents: keep what is in force. */
class UnreadableVersion extends Error {
  override readonly name = 'UnreadableVersion'
}

export function createPolicyBundles(deps: PolicyBundleDeps): PolicyBundles {
  const { db, log } = deps
  const inForce = new LRUCache<string, LoadedBundle>({ max: maxZones })
  const loading = new Map<string, Promise<LoadedBundle>>()
  const failed = new LRUCache<string, { versionId: string; at: number }>({ max: maxZones })

  function at(
    zoneId: string,
    binding: ActiveVersion | null,
    told = log,
  ): LoadedBundle | Promise<LoadedBundle> {
    const current = inForce.get(zoneId)
    if (binding === null) {
      if (current !== undefined && current.policySetVersionId === null) return current
      return install(zoneId, denyAll(null))
    }
    if (current !== undefined && current.policySetVersionId === binding.versionId) return current
    const failure = failed.get(zoneId)
    if (
      current !== undefined &&
      failure?.versionId === binding.versionId &&
      performance.now() - failure.at < retryMs
    ) {
      return current
    }
    return load(zoneId, binding, told)
  }

  function load(zoneId: string, binding: ActiveVersion, told: Logger): Promise<LoadedBundle> {
    const key = `${zoneId}\0${binding.versionId}`
    const running = loading.get(key)
    if (running !== undefined) return running
    const started = loadNow(zoneId, binding, told).finally(() => loading.delete(key))
    loading.set(key, started)
    return started
  }

  async function loadNow(zoneId: string, binding: ActiveVersion, told: Logger): Promise<LoadedBundle> {
    try {
      const loaded = await readBundle(zoneId, binding, told)
      failed.delete(zoneId)
      return install(zoneId, loaded)
    } catch (error) {
      failed.set(zoneId, { versionId: binding.versionId, at: performance.now() })
      told.error(
        { err: error, zone_id: zoneId, policy_set_version_id: binding.versionId },
        'policy_bundle_load_failed',
      )
      const current = inForce.get(zoneId)
      if (current !== undefined) return current
      const denying = install(zoneId, denyAll(null))
      if (error instanceof UnreadableVersion) return denying
      throw error
    }
  }

  async function readBundle(zoneId: string, binding: ActiveVersion, told: Logger): Promise<LoadedBundle> {
    const version = await readPolicySetVersion(db, binding.versionId)
    if (version === null) throw new UnreadableVersion('policy set version does not exist')
    const manifest = readManifest(version.manifest_json)
    if (!manifest.ok) throw new UnreadableVersion(manifest.message)
    if (manifest.sha256 !== version.manifest_sha256) {
      throw new UnreadableVersion('manifest does not match its hash')
    }
    const current = inForce.get(zoneId)
    if (current !== undefined && current.manifestSha === manifest.sha256 && current.bundle.active) {
      return { ...current, policySetId: binding.policySetId, policySetVersionId: binding.versionId }
    }
    const rows = await readPolicyVersions(db, zoneId, manifest.policyVersionIds)
    if (rows.length !== manifest.policyVersionIds.length) {
      throw new UnreadableVersion('a policy version of the manifest does not exist')
    }
    const byId = new Map(rows.map((row) => [row.id, row]))
    const documents = manifest.policyVersionIds.map((id) => byId.get(id) as (typeof rows)[number])
    return {
      bundle: compile(zoneId, binding, documents, told),
      manifestSha: manifest.sha256,
      policySetId: binding.policySetId,
      policySetVersionId: binding.versionId,
      loadedAt: Date.now(),
    }
  }

  /** Documents that cannot be used deny: an unreadable restriction must not be a missing one. */
  function compile(
    zoneId: string,
    binding: ActiveVersion,
    documents: readonly { id: string; content: string; schema_version: string }[],
    told: Logger,
  ): PolicyBundle {
    const startedAt = performance.now()
    const unsupported = documents
      .map((document) => schemaVersionProblem(document.schema_version))
      .find((problem) => problem !== null)
    const result =
      unsupported === undefined
        ? compileBundle(documents)
        : { ok: false as const, code: 'invalid_policy_bundle' as const, detail: unsupported }
    deps.onCompiled((performance.now() - startedAt) / 1000, !result.ok)
    if (result.ok) return result.bundle
    told.error(
      { zone_id: zoneId, policy_set_version_id: binding.versionId, detail: result.detail },
      'policy_bundle_invalid',
    )
    return denyAllBundle
  }

  function install(zoneId: string, loaded: LoadedBundle): LoadedBundle {
    inForce.set(zoneId, loaded)
    return loaded
  }

  function settle(
    bindings: readonly ActiveBinding[],
    zoneIds: readonly string[],
    told = log,
  ): Promise<unknown> {
    const byZone = new Map(bindings.map((row) => [row.zone_id, row]))
    return Promise.allSettled(
      zoneIds.map((zoneId) => {
        const row = byZone.get(zoneId)
        return at(
          zoneId,
          row === undefined ? null : { policySetId: row.policy_set_id, versionId: row.active_version_id },
          told,
        )
      }),
    )
  }

  async function reload(zoneId: string): Promise<void> {
    failed.delete(zoneId)
    await settle(await readBindings(db, [zoneId]), [zoneId])
  }

  return {
    at,
    reload,
    versionInForce: (zoneId) => inForce.get(zoneId)?.policySetVersionId ?? null,

    async status(zoneId) {
      // The store has no such text, so no zone has such an id.
      const unknown = zoneId.includes('\0')
      if (!unknown && !inForce.has(zoneId)) await reload(zoneId)
      const loaded = unknown ? denyAll(null) : inForce.get(zoneId)
      if (loaded === undefined) return { zone_id: zoneId, loaded: false }
      const loadedAt = new Date(loaded.loadedAt)
      return {
        zone_id: zoneId,
        loaded: true,
        ...(loaded.bundle.active && loaded.policySetVersionId !== null
          ? { policy_set_version_id: loaded.policySetVersionId }
          : {}),
        manifest_sha256: loaded.bundle.active ? loaded.manifestSha : NO_POLICY_MANIFEST,
        loaded_at: loadedAt.toISOString(),
        age_seconds: Math.max(0, Math.floor((Date.now() - loaded.loadedAt) / 1000)),
      }
    },

    async refresh(told) {
      const zoneIds = [...inForce.keys()]
      if (zoneIds.length > 0) await settle(await readBindings(db, zoneIds), zoneIds, told)
    },

    async preload() {
      const bindings = await readAllBindings(db, preloadZones)
      await settle(
        bindings,
        bindings.map((row) => row.zone_id),
      )
    },

    maxAgeSeconds() {
      let oldest = Number.POSITIVE_INFINITY
      for (const loaded of inForce.values()) oldest = Math.min(oldest, loaded.loadedAt)
      return Number.isFinite(oldest) ? Math.max(0, (Date.now() - oldest) / 1000) : 0
    },
  }
}

function denyAll(policySetId: string | null): LoadedBundle {
  return {
    bundle: denyAllBundle,
    manifestSha: NO_POLICY_MANIFEST,
    policySetId,
    policySetVersionId: null,
    loadedAt: Date.now(),
  }
}
