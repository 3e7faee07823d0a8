/** The profile file `caracal.toml` (sdk-cli-console §3.3). */
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, resolve } from 'node:path'
import type { ResourceBinding } from '../gateway-route.ts'
import { isWritableByOthers, readPrivateFile } from './private-file.ts'
import { manifestBindings } from './resources.ts'

export interface Profile {
  readonly zoneId: string
  readonly applicationId: string
  readonly stsUrl: string | undefined
  readonly coordinatorUrl: string | undefined
  readonly gatewayUrl: string | undefined
  /** null: look in the runtime directory. */
  readonly clientSecret: string | null
  readonly defaultTtlSeconds: number | undefined
  readonly bindings: readonly ResourceBinding[]
}

export function readProfile(path: string): Profile {
  if (!existsSync(path)) throw new Error(`the profile ${path} does not exist`)
  if (isWritableByOthers(path)) throw new Error(`the profile ${path} can be changed by others: chmod 600 it`)
  const document = parseToml(readFileSync(path, 'utf8'), path)
  const text = (name: string): string | undefined => {
    const value = document[name]
    if (value === undefined) return undefined
    if (typeof value !== 'string' || value.trim() === '')
      throw new Error(`${name} of the profile must be a text`)
    return value.trim()
  }
  const required = (name: string): string => {
    const value = text(name)
    if (value === undefined) throw new Error(`the profile ${path} has no ${name}`)
    return value
  }
  const ttl = document.default_ttl_seconds
  if (ttl !== undefined && !(typeof ttl === 'number' && Number.isInteger(ttl) && ttl > 0))
    throw new Error('default_ttl_seconds of the profile must be a positive integer')
  return {
    zoneId: required('zone_id'),
    applicationId: required('application_id'),
    stsUrl: text('sts_url') ?? text('zone_url'),
    coordinatorUrl: text('coordinator_url'),
    gatewayUrl: text('gateway_url'),
    clientSecret: secretOf(path, text('app_client_secret'), text('app_client_secret_file')),
    defaultTtlSeconds: ttl as number | undefined,
    bindings: manifestBindings(
      { credentials: document.credentials, optional_credentials: document.optional_credentials },
      'the profile',
    ),
  }
}

function secretOf(path: string, inline: string | undefined, file: string | undefined): string | null {
  if (inline !== undefined && file !== undefined)
    throw new Error('the profile has app_client_secret and app_client_secret_file: keep one')
  if (file !== undefined) return readPrivateFile(resolve(dirname(path), file), 'app_client_secret_file')
  if (inline === undefined) return null
  // With the secret inside, the profile itself is a secret file.
  readPrivateFile(path, `the profile ${path}`)
  return inline
}

/** The parser is only loaded when there is a profile to read. */
function parseToml(text: string, path: string): Readonly<Record<string, unknown>> {
  const { parse } = createRequire(import.meta.url)('smol-toml') as typeof import('smol-toml')
  try {
    return parse(text)
  } catch (error) {
    throw new Error(`the profile ${path} is not TOML: ${(error as Error).message.split('\n')[0]}`)
  }
}
