/** Reading what an OAuth issuer publishes about itself (gateway §22.3; OpenID Connect Discovery, RFC 8414). */

import { EgressError } from '../../platform/egress/guarded-fetch.ts'
import { errorOf } from '../../platform/http/errors/registry.ts'
import { parseJsonObject } from '../../platform/json.ts'
import type { Control } from './control.ts'
import { spendProbe } from './probe-budget.ts'

const knownAuthMethods = new Set(['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none'])

function issuerUrl(issuer: string): URL {
  let url: URL
  try {
    url = new URL(issuer)
  } catch {
    throw errorOf('invalid_issuer')
  }
  const plain = url.username === '' && url.password === '' && url.search === '' && url.hash === ''
  if (url.protocol !== 'https:' || !plain) throw errorOf('invalid_issuer')
  return url
}

const withoutSlash = (value: string): string => value.replace(/\/+$/, '')

function httpsEndpoint(value: unknown): string | undefined {
  if (typeof value !== 'string' || value.length > 2048) return undefined
  try {
    return new URL(value).protocol === 'https:' ? value : undefined
  } catch {
    return undefined
  }
}

function texts(value: unknown, max: number): string[] | undefined {
  if (!Array.isArray(value)) return undefined
  return value
    .filter((entry): entry is string => typeof entry === 'string' && entry.length > 0 && entry.length <= 200)
    .slice(0, max)
}

function published(document: Readonly<Record<string, unknown>>, issuer: string) {
  const tokenEndpoint = httpsEndpoint(document.token_endpoint)
  if (typeof document.issuer !== 'string' || withoutSlash(document.issuer) !== withoutSlash(issuer))
    return null
  if (tokenEndpoint === undefined) return null
  const members = {
    authorization_endpoint: httpsEndpoint(document.authorization_endpoint),
    revocation_endpoint: httpsEndpoint(document.revocation_endpoint),
    scopes_supported: texts(document.scopes_supported, 64),
    token_endpoint_auth_methods_supported: texts(document.token_endpoint_auth_methods_supported, 64)?.filter(
      (method) => knownAuthMethods.has(method),
    ),
  }
  const known = Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined))
  return { issuer: document.issuer, token_endpoint: tokenEndpoint, ...known }
}

/** Throws 400 `invalid_issuer`; 422 `provider_discovery_failed`; 429 over the budget. */
export async function discoverIssuer(control: Control, zoneId: string, issuer: string, signal: AbortSignal) {
  const url = issuerUrl(issuer)
  await spendProbe(control, 'providerdiscovery', zoneId)
  const path = withoutSlash(url.pathname)
  const candidates = [
    `${url.origin}${path}/.well-known/openid-configuration`,
    `${url.origin}/.well-known/oauth-authorization-server${path}`,
  ]
  for (const candidate of candidates) {
    try {
      const answer = await control.egress.fetch(candidate, {
        headers: { accept: 'application/json' },
        signal,
      })
      const document = answer.status === 200 ? parseJsonObject(answer.body.toString('utf8')) : null
      const found = document === null ? null : published(document, issuer)
      if (found !== null) return found
    } catch (error) {
      if (!(error instanceof EgressError)) throw error
      control.log.info({ reason: error.reason }, 'issuer_discovery_attempt_failed')
    }
  }
  throw errorOf('provider_discovery_failed', {
    message: 'the issuer publishes no usable document under its own name',
  })
}
