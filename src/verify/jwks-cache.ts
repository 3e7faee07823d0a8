/**
 * Verification keys by issuer and zone: fresh for five minutes, usable for ten while they
 * are renewed, fetched again once for a key id nobody knows (sdk-cli-console §9.1, §11.1).
 */
import { createLocalJWKSet, type JSONWebKeySet } from 'jose'
import { isSecureEnough } from '../sdk/config/urls.ts'
import { withDeadline } from '../sdk/deadline.ts'
import { jsonObject, readText } from '../sdk/read-body.ts'

type KeyLookup = ReturnType<typeof createLocalJWKSet>

export interface JwksCache {
  /** The zone's keys; `unknownKey` asks for newer ones than those that are cached. */
  keys(issuer: string, zoneId: string, options?: { readonly unknownKey?: boolean }): Promise<KeyLookup>
}

export interface JwksCacheOptions {
  readonly fetchImpl?: typeof fetch | undefined
  /** http issuers beyond loopback. Default: CARACAL_ALLOW_INSECURE_CONFIG_URLS=true. */
  readonly allowInsecure?: boolean | undefined
  readonly now?: (() => number) | undefined
}

const freshMs = 5 * 60_000
const staleMs = 10 * 60_000
const cooldownMs = 30_000
const timeoutMs = 5_000
const longestDocument = 256 * 1024
const maxZones = 1_000

interface Entry {
  readonly lookup: KeyLookup
  readonly fetchedAt: number
}

export function createJwksCache(options: JwksCacheOptions = {}): JwksCache {
  const now = options.now ?? Date.now
  const entries = new Map<string, Entry>()
  const underway = new Map<string, Promise<Entry>>()

  function renew(key: string, issuer: string, zoneId: string): Promise<Entry> {
    const flight = underway.get(key)
    if (flight !== undefined) return flight
    const fetching = fetchKeys(issuer, zoneId, options)
      .then((document) => {
        const entry = { lookup: createLocalJWKSet(document), fetchedAt: now() }
        entries.delete(key)
        entries.set(key, entry)
        const oldest = entries.size > maxZones ? entries.keys().next().value : undefined
        if (oldest !== undefined) entries.delete(oldest)
        return entry
      })
      .finally(() => underway.delete(key))
    underway.set(key, fetching)
    return fetching
  }

  return {
    async keys(issuer, zoneId, { unknownKey = false } = {}) {
      const key = `${issuer}\n${zoneId}`
      const entry = entries.get(key)
      const age = entry === undefined ? Number.POSITIVE_INFINITY : now() - entry.fetchedAt
      if (entry === undefined || age > staleMs) return (await renew(key, issuer, zoneId)).lookup
      if (unknownKey) return age > cooldownMs ? (await renew(key, issuer, zoneId)).lookup : entry.lookup
      // Whoever comes meanwhile is served what is there; a failed renewal is tried again by the next.
      if (age > freshMs) renew(key, issuer, zoneId).catch(() => undefined)
      return entry.lookup
    },
  }
}

async function fetchKeys(issuer: string, zoneId: string, options: JwksCacheOptions): Promise<JSONWebKeySet> {
  if (!URL.canParse(issuer)) throw new Error('the issuer is not a URL')
  const base = new URL(issuer)
  const allowInsecure = options.allowInsecure ?? process.env.CARACAL_ALLOW_INSECURE_CONFIG_URLS === 'true'
  if (!isSecureEnough(base) && !(allowInsecure && base.protocol === 'http:'))
    throw new Error('the issuer must be https (or http on loopback)')
  const url = `${issuer.replace(/\/+$/, '')}/.well-known/jwks.json?zone_id=${encodeURIComponent(zoneId)}`
  const send = options.fetchImpl ?? fetch
  return withDeadline(timeoutMs, [], async (signal) => {
    const response = await send(url, { signal, redirect: 'error', headers: { accept: 'application/json' } })
    const text = await readText(response, longestDocument)
    if (!response.ok) throw new Error(`the issuer answered ${response.status} for its keys`)
    const document = jsonObject(text)
    if (!Array.isArray(document?.keys)) throw new Error('the issuer answered no key set')
    return { keys: document.keys as JSONWebKeySet['keys'] }
  })
}
