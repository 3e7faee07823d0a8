/**
 * Changing a provider (gateway §22.3). `config_json` replaces the public part; what
 * happens to the sealed secrets follows from whether the patch names `kind` and
 * whether it brings any secret, and reconcilers rely on exactly this.
 */
import type { Queryable, Tx } from '../../platform/db/port.ts'
import { violatedConstraint } from '../../platform/db/unavailable.ts'
import { type Control, writing } from './control.ts'
import { checkProviderIdentifier, given, keepProviderSecrets } from './create-provider.ts'
import { discardSecret, providerSecretRef, readSecret } from './custody.ts'
import { conflict, found, invalid, noFields, notFound } from './not-found.ts'
import {
  isOAuthKind,
  type ProviderConfig,
  type ProviderKind,
  parseProviderConfig,
} from './provider-config.ts'
import { refuseReserved } from './reserved.ts'
import type { Call } from './route.ts'
import { isEmptyPatch } from './routes/inputs.ts'
import { archiveProvider, lockProvider, type Provider, updateProvider } from './store/providers.ts'
import { countBoundTo } from './store/resources.ts'

export interface ProviderPatch {
  readonly name?: string | undefined
  readonly identifier?: string | undefined
  readonly kind?: ProviderKind | undefined
  readonly config_json?: Readonly<Record<string, unknown>> | undefined
  /** Secrets that are not given again stay, as long as the kind does. */
  readonly secret_merge?: boolean | undefined
}

interface NextConfig {
  readonly config: Readonly<Record<string, unknown>>
  readonly secretKeys: readonly string[]
}

/** Decides public config and sealed document after the patch, and writes the latter. */
async function nextConfig(
  control: Control,
  tx: Tx,
  current: Provider,
  patch: ProviderPatch,
): Promise<NextConfig> {
  if (patch.config_json === undefined) {
    return { config: current.config_json, secretKeys: current.secret_config_keys }
  }
  const ref = providerSecretRef(current.zone_id, current.id)
  const changesKind = patch.kind !== undefined
  const kind = patch.kind ?? current.kind
  const kept =
    patch.secret_merge === true && kind === current.kind ? await sealedSecrets(control, tx, current) : {}
  const given = { ...kept, ...patch.config_json }
  const parsed: ProviderConfig = parseProviderConfig(
    kind,
    given,
    changesKind ? null : current.secret_config_keys,
  )
  const names = Object.keys(parsed.secrets).sort()
  if (names.length > 0) {
    // The document is replaced by exactly the given keys, so they must suffice on their own.
    const complete = parseProviderConfig(kind, given)
    await keepProviderSecrets(control, tx, current.zone_id, current.id, complete.secrets)
    return { config: complete.public, secretKeys: names }
  }
  if (!changesKind) return { config: parsed.public, secretKeys: current.secret_config_keys }
  if (current.secret_config_keys.length > 0) await control.secrets.delete(tx, ref)
  return { config: parsed.public, secretKeys: [] }
}

/** Throws 400 `provider_config_required`, `no_fields`, `invalid_provider_*`; 404; 409; 502. */
export async function changeProvider(
  control: Control,
  call: Call<unknown, unknown>,
  patch: ProviderPatch,
): Promise<Provider> {
  const name = given(patch.name)
  const identifier = given(patch.identifier)
  if (patch.kind !== undefined && patch.config_json === undefined) {
    throw invalid('provider_config_required', 'a change of kind brings its config_json')
  }
  if (isEmptyPatch({ ...patch, secret_merge: undefined, name, identifier })) throw noFields()
  if (identifier !== undefined) checkProviderIdentifier(identifier)
  refuseReserved(call.principal, 'provider_identifier', identifier)
  try {
    return await writing(control, call, async (tx) => {
      const current = found(await lockProvider(tx, call.zoneId, call.id), 'provider_not_found')
      const kind = patch.kind ?? current.kind
      const next = await nextConfig(control, tx, current, patch)
      return updateProvider(
        tx,
        call.zoneId,
        call.id,
        {
          name: name ?? current.name,
          identifier: identifier ?? current.identifier,
          kind,
          config: next.config,
          secretKeys: next.secretKeys,
          clearFailure: patch.kind !== undefined && !isOAuthKind(patch.kind),
        },
        call.attribution,
      )
    })
  } catch (error) {
    if (violatedConstraint(error) === 'providers_zone_id_identifier_key') {
      throw conflict('provider_identifier_conflict', 'a provider of this zone has this identifier')
    }
    throw error
  }
}

/** Archives the provider. Answers how many resources are bound to it: they deny from now on. */
export async function removeProvider(control: Control, call: Call<unknown, unknown>): Promise<number> {
  const bound = await writing(control, call, async (tx) => {
    if (!(await archiveProvider(tx, call.zoneId, call.id, call.attribution)))
      throw notFound('provider_not_found')
    return countBoundTo(tx, call.zoneId, call.id)
  })
  await discardSecret(control, providerSecretRef(call.zoneId, call.id))
  return bound
}

/** The configuration with its secrets, for a connectivity check. Throws 502. */
export async function openProviderConfig(control: Control, provider: Provider): Promise<ProviderConfig> {
  return { public: provider.config_json, secrets: await sealedSecrets(control, control.db, provider) }
}

async function sealedSecrets(
  control: Control,
  db: Queryable,
  provider: Provider,
): Promise<Readonly<Record<string, string>>> {
  if (provider.secret_config_keys.length === 0) return {}
  const document = await readSecret(control, db, providerSecretRef(provider.zone_id, provider.id))
  return document === null ? {} : (JSON.parse(document) as Record<string, string>)
}
