/** From the token endpoint's form to an exchange request: the handler stage H2–H7 (sts §5.1). */

import { accessTokenType, type ExchangeRequest, idTokenType, tokenExchangeGrant } from './exchange-state.ts'
import type { Form } from './form.ts'
import { invalidToken } from './refusal.ts'

export const repeatableFields: ReadonlySet<string> = new Set(['resource'])

/** H2 and H3, before the gateway's signature is looked at. */
export function assertAcceptedFields(form: Form): void {
  for (const name of ['actor_token', 'client_assertion', 'client_assertion_type']) {
    if (form.has(name)) throw invalidToken(`${name} is not supported`)
  }
  parseTtl(form.get('ttl_seconds'))
}

export interface FormContext {
  readonly requestId: string
  /** True when the gateway headers verified. */
  readonly gateway: boolean
}

/** H5–H7. */
export function exchangeRequest(form: Form, context: FormContext): ExchangeRequest {
  const resources = canonicalResources(form.getAll('resource'))
  if (form.get('grant_type') !== tokenExchangeGrant) throw invalidToken('grant_type is not supported')
  const subjectToken = optional(form.get('subject_token'))
  const subjectTokenType = tokenType(form.get('subject_token_type'))
  if (subjectTokenType === null && subjectToken !== null) {
    throw invalidToken('subject_token requires subject_token_type')
  }
  if (subjectTokenType !== null && subjectToken === null) {
    throw invalidToken('subject_token_type requires subject_token')
  }
  const scope = (form.get('scope') ?? '').trim()
  return {
    requestId: context.requestId,
    zoneId: (form.get('zone_id') ?? '').trim(),
    applicationId: applicationOf(form),
    clientSecret: form.get('client_secret'),
    resources,
    scope,
    requestedScopes: scope === '' ? [] : scope.split(/\s+/),
    subjectToken,
    subjectTokenType,
    sessionId: optional(form.get('session_id')),
    agentSessionId: optional(form.get('agent_session_id')),
    delegationEdgeId: optional(form.get('delegation_edge_id')),
    ttlSeconds: parseTtl(form.get('ttl_seconds')),
    approvalId: optional(form.get('approval_id')) ?? optional(form.get('challenge_id')),
    gateway: context.gateway
      ? { method: form.get('request_method') ?? '', path: form.get('request_path') ?? '' }
      : null,
    verifiedClaims: null,
  }
}

/** Who calls; `client_id` is what a client calls it that knows our metadata and nothing else (RFC 6749 §2.3.1). */
export function applicationOf(form: Form): string {
  return optional(form.get('application_id')) ?? optional(form.get('client_id')) ?? ''
}

/** More than any client configures; every one of them is looked up before the caller is authenticated. */
const maxResources = 256

/** Trimmed, distinct, byte-sorted; an empty value is an error. */
export function canonicalResources(values: readonly string[]): string[] {
  const names = new Set<string>()
  for (const value of values) {
    const name = value.trim()
    if (name === '') throw invalidToken('resource must not be empty')
    names.add(name)
  }
  if (names.size > maxResources) throw invalidToken(`at most ${maxResources} resources may be named`)
  return [...names].sort((a, b) => Buffer.compare(Buffer.from(a, 'utf8'), Buffer.from(b, 'utf8')))
}

function tokenType(value: string | null): ExchangeRequest['subjectTokenType'] {
  if (value === null || value === '') return null
  if (value === accessTokenType || value === idTokenType) return value
  throw invalidToken('subject_token_type is not supported')
}

/** Empty counts as absent; ids are compared without surrounding whitespace. */
function optional(value: string | null): string | null {
  const trimmed = value?.trim() ?? ''
  return trimmed === '' ? null : trimmed
}

function parseTtl(value: string | null): number {
  const text = value?.trim() ?? ''
  if (text === '') return 0
  if (!/^[+-]?[0-9]+$/.test(text)) throw invalidToken('ttl_seconds is not an integer')
  return Number(text)
}
