/** From options, profile or environment to one settled configuration (sdk-cli-console §3). */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { assertPositiveInteger } from '../authority.ts'
import type { ResourceBinding } from '../gateway-route.ts'
import { decodeJwt } from '../jwt.ts'
import { configDirectory, type Environment, pathSegment } from './directory.ts'
import { readPrivateFile } from './private-file.ts'
import { type Profile, readProfile } from './profile.ts'
import {
  environmentManifest,
  mergeBindings,
  parseResourceList,
  parseResourcePairs,
  readManifest,
  readResourcesFile,
} from './resources.ts'
import { isProduction, type ServiceUrls, serviceUrls } from './urls.ts'

export interface DetectedConfig extends ServiceUrls {
  readonly zoneId: string
  readonly applicationId: string
  readonly credential:
    | { readonly kind: 'secret'; readonly clientSecret: string }
    | { readonly kind: 'token'; readonly token: string }
  readonly bindings: readonly ResourceBinding[]
  readonly defaultTtlSeconds: number | undefined
}

/** The profile that `CARACAL_CONFIG` or the configuration directory has; null without one. */
export function findProfile(env: Environment): string | null {
  if (env.CARACAL_CONFIG) return env.CARACAL_CONFIG
  const path = join(configDirectory(env), 'caracal.toml')
  return existsSync(path) ? path : null
}

export function configFromProfile(path: string, env: Environment): DetectedConfig {
  const profile = readProfile(path)
  const clientSecret = profile.clientSecret ?? discoveredSecret(env, profile)
  if (clientSecret === null)
    throw new Error(`the profile ${path} has neither app_client_secret nor app_client_secret_file`)
  return {
    ...serviceUrls(env, defined(profile)),
    zoneId: profile.zoneId,
    applicationId: profile.applicationId,
    credential: { kind: 'secret', clientSecret },
    bindings: bindingsOf(env, profile.bindings),
    defaultTtlSeconds: profile.defaultTtlSeconds ?? defaultTtl(env),
  }
}

export function configFromEnv(env: Environment): DetectedConfig {
  const problems = ['CARACAL_ZONE_ID', 'CARACAL_APPLICATION_ID'].filter((name) => !env[name])
  const ids = { zoneId: env.CARACAL_ZONE_ID ?? '', applicationId: env.CARACAL_APPLICATION_ID ?? '' }
  const credential = credentialOf(env, ids)
  if (credential === null)
    problems.push('CARACAL_APP_CLIENT_SECRET (or CARACAL_APP_CLIENT_SECRET_FILE, or CARACAL_BOOTSTRAP_TOKEN)')
  if (problems.length > 0 || credential === null)
    throw new Error(`missing configuration: ${problems.join(', ')}`)
  const manifest = environmentManifest(env)
  return {
    ...serviceUrls(env),
    ...ids,
    credential,
    bindings: bindingsOf(env, manifest.length > 0 ? manifest : discoveredManifest(env, ids)),
    defaultTtlSeconds: defaultTtl(env),
  }
}

interface Ids {
  readonly zoneId: string
  readonly applicationId: string
}

function credentialOf(env: Environment, ids: Ids): DetectedConfig['credential'] | null {
  const { CARACAL_APP_CLIENT_SECRET: inline, CARACAL_APP_CLIENT_SECRET_FILE: file } = env
  if (inline && file)
    throw new Error('set CARACAL_APP_CLIENT_SECRET or CARACAL_APP_CLIENT_SECRET_FILE, not both')
  if (inline) return { kind: 'secret', clientSecret: inline }
  if (file) return { kind: 'secret', clientSecret: readPrivateFile(file, 'CARACAL_APP_CLIENT_SECRET_FILE') }
  const token = env.CARACAL_BOOTSTRAP_TOKEN
  if (token) {
    assertUsableToken(token)
    return { kind: 'token', token }
  }
  const clientSecret = ids.zoneId && ids.applicationId ? discoveredSecret(env, ids) : null
  return clientSecret === null ? null : { kind: 'secret', clientSecret }
}

/** An unsigned or expired token would fail later and elsewhere. */
function assertUsableToken(token: string): void {
  const jwt = decodeJwt(token)
  if (jwt === null) return
  if (String(jwt.header.alg).toLowerCase() === 'none')
    throw new Error('CARACAL_BOOTSTRAP_TOKEN is not signed')
  if (typeof jwt.claims.exp === 'number' && jwt.claims.exp * 1000 <= Date.now())
    throw new Error('CARACAL_BOOTSTRAP_TOKEN is expired')
}

function runtimeDirectory(env: Environment, ids: Ids): string {
  return join(configDirectory(env), 'runtime', pathSegment(ids.zoneId), pathSegment(ids.applicationId))
}

/** What guided setup left on a development machine; never looked for in production. */
function discoveredSecret(env: Environment, ids: Ids): string | null {
  if (isProduction(env)) return null
  const path = join(runtimeDirectory(env, ids), 'client-secret')
  return existsSync(path) ? readPrivateFile(path, path) : null
}

function discoveredManifest(env: Environment, ids: Ids): ResourceBinding[] {
  if (isProduction(env)) return []
  const path = join(runtimeDirectory(env, ids), 'credentials.json')
  return existsSync(path) ? readManifest(path) : []
}

function bindingsOf(env: Environment, manifest: readonly ResourceBinding[]): ResourceBinding[] {
  return mergeBindings(
    manifest,
    env.CARACAL_RESOURCES_FILE ? readResourcesFile(env.CARACAL_RESOURCES_FILE) : [],
    parseResourcePairs(env.CARACAL_RESOURCES),
    parseResourceList(env.CARACAL_APP_RESOURCES),
  )
}

function defaultTtl(env: Environment): number | undefined {
  if (!env.CARACAL_DEFAULT_TTL_SECONDS) return undefined
  const seconds = Number(env.CARACAL_DEFAULT_TTL_SECONDS)
  assertPositiveInteger(seconds, 'CARACAL_DEFAULT_TTL_SECONDS')
  return seconds
}

function defined({ stsUrl, coordinatorUrl, gatewayUrl }: Profile): Partial<ServiceUrls> {
  return {
    ...(stsUrl === undefined ? {} : { stsUrl }),
    ...(coordinatorUrl === undefined ? {} : { coordinatorUrl }),
    ...(gatewayUrl === undefined ? {} : { gatewayUrl }),
  }
}
