/** Creating a provider: the row and its sealed secrets commit together (control-api §7.7, gateway §22.3). */

import type { Tx } from '../../platform/db/port.ts'
import { CaracalError } from '../../platform/errors.ts'
import { uuidv7 } from '../../platform/ids.ts'
import { checkProviderConnectivity } from './check-provider.ts'
import { type Control, writing } from './control.ts'
import { keepSecret, providerSecretRef } from './custody.ts'
import { conflict, invalid } from './not-found.ts'
import {
  isOAuthKind,
  type ProviderConfig,
  type ProviderKind,
  parseProviderConfig,
} from './provider-config.ts'
import { refuseReserved } from './reserved.ts'
import type { Call } from './route.ts'
import { firstFree, slugOf } from './slug.ts'
import {
  insertProvider,
  type NewProvider,
  type Provider,
  providerIdentifiersStartingWith,
} from './store/providers.ts'

export interface ProviderInput {
  readonly name?: string | undefined
  readonly identifier?: string | undefined
  readonly kind: ProviderKind
  readonly config_json?: Readonly<Record<string, unknown>> | undefined
  readonly check?: boolean | undefined
}

/** Throws 400 `invalid_provider_identifier`. */
export function checkProviderIdentifier(identifier: string): void {
  if (/^provider:\/\/[a-z0-9]+(-[a-z0-9]+)*$/.test(identifier)) return
  throw invalid(
    'invalid_provider_identifier',
    'an identifier is provider:// and words of a-z 0-9 joined by single hyphens',
  )
}

/** Blank counts as absent. */
export function given(value: string | undefined): string | undefined {
  const trimmed = value?.trim()
  return trimmed === '' ? undefined : trimmed
}

const ATTEMPTS = 3

/** An explicit identifier is tried once; a derived one finds the next free suffix. */
async function insertNamed(
  tx: Tx,
  call: Call<unknown, unknown>,
  fields: Omit<NewProvider, 'name' | 'identifier'>,
  name: string | undefined,
  identifier: string | undefined,
): Promise<Provider> {
  const base = `provider://${slugOf(name ?? '', 'provider')}`
  for (let attempt = 1; attempt <= (identifier === undefined ? ATTEMPTS : 1); attempt += 1) {
    const chosen = identifier ?? firstFree(base, await providerIdentifiersStartingWith(tx, call.zoneId, base))
    refuseReserved(call.principal, 'provider_identifier', chosen)
    const row = await insertProvider(
      tx,
      { ...fields, identifier: chosen, name: name ?? chosen },
      call.attribution,
    )
    if (row !== null) return row
  }
  throw conflict('provider_identifier_conflict', 'a provider of this zone has this identifier')
}

async function requireWorking(
  control: Control,
  zoneId: string,
  kind: ProviderKind,
  config: ProviderConfig,
  signal: AbortSignal,
): Promise<void> {
  const check = await checkProviderConnectivity(control, zoneId, kind, config, signal)
  if (check.status === 'ok') return
  throw new CaracalError('provider_check_failed', {
    status: 422,
    message: check.detail,
    body: { details: { check } },
  })
}

/** Throws the 4xx of gateway §22.3 in its order. */
export async function createProvider(
  control: Control,
  call: Call<unknown, unknown>,
  input: ProviderInput,
): Promise<Provider> {
  const name = given(input.name)
  const identifier = given(input.identifier)
  if (name === undefined && identifier === undefined) {
    throw invalid('invalid_provider', 'a provider needs a name or an identifier')
  }
  if (identifier !== undefined) checkProviderIdentifier(identifier)
  const config = parseProviderConfig(input.kind, input.config_json ?? {})
  refuseReserved(call.principal, 'provider_identifier', identifier)
  if (input.check === true) await requireWorking(control, call.zoneId, input.kind, config, call.signal)
  const id = uuidv7()
  return writing(control, call, async (tx) => {
    const row = await insertNamed(
      tx,
      call,
      {
        id,
        zoneId: call.zoneId,
        kind: input.kind,
        config: config.public,
        secretKeys: Object.keys(config.secrets).sort(),
        unverified: isOAuthKind(input.kind) && input.check !== true,
      },
      name,
      identifier,
    )
    await keepProviderSecrets(control, tx, call.zoneId, id, config.secrets)
    return row
  })
}

/** Seals the secret document; nothing to seal leaves the store untouched. */
export async function keepProviderSecrets(
  control: Control,
  tx: Tx,
  zoneId: string,
  id: string,
  secrets: Readonly<Record<string, string>>,
): Promise<void> {
  if (Object.keys(secrets).length === 0) return
  await keepSecret(control, tx, providerSecretRef(zoneId, id), JSON.stringify(secrets))
}
