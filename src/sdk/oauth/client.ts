/**
 * The token exchange client (RFC 8693; sdk-cli-console §5.1). One network attempt per
 * exchange, never repeated by itself: a lost answer may hide a mandate that was minted.
 */
import { orAborted, withDeadline } from '../deadline.ts'
import { CaracalError } from '../errors.ts'
import type { CaracalEvent } from '../events.ts'
import { readText } from '../read-body.ts'
import { mandateOf, stsError, stsUnavailable } from './answer.ts'
import {
  type ApprovalState,
  type DecideApprovalOptions,
  decideApproval,
  pollApprovalState,
} from './approvals.ts'
import { createTokenCache, fingerprint, type Mandate, type TokenCache } from './token-cache.ts'

const grantType = 'urn:ietf:params:oauth:grant-type:token-exchange'
const accessTokenType = 'urn:ietf:params:oauth:token-type:access_token'
const idTokenType = 'urn:ietf:params:oauth:token-type:id_token'
const longestAnswer = 1024 * 1024

export interface OAuthClientOptions {
  readonly stsUrl: string
  readonly zoneId: string
  readonly applicationId: string
  readonly clientSecret?: string | undefined
  readonly fetchImpl?: typeof fetch | undefined
  /** Default 30 000. */
  readonly timeoutMs?: number | undefined
  readonly onEvent?: ((event: CaracalEvent) => void) | undefined
}

export interface ExchangeRequest {
  readonly resources: readonly string[]
  readonly scopes?: readonly string[] | undefined
  readonly subjectToken?: string | undefined
  /** An authority record (`session_id` on the wire). */
  readonly authorityRecordId?: string | undefined
  readonly sessionId?: string | undefined
  readonly delegationId?: string | undefined
  readonly ttlSeconds?: number | undefined
  readonly approvalId?: string | undefined
  /** false: neither read nor written nor shared with a request under way. */
  readonly cache?: boolean | undefined
  /** Bypasses what is cached and replaces it. */
  readonly forceRefresh?: boolean | undefined
  readonly signal?: AbortSignal | undefined
  readonly timeoutMs?: number | undefined
}

export interface FederationRequest {
  readonly ttlSeconds?: number | undefined
  readonly timeoutMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

export class OAuthClient {
  readonly zoneId: string
  readonly applicationId: string
  readonly #stsUrl: string
  readonly #secret: string | undefined
  readonly #fetch: typeof fetch
  readonly #timeoutMs: number
  readonly #onEvent: (event: CaracalEvent) => void
  readonly #identity: string
  readonly #cache: TokenCache
  readonly #underway = new Map<string, Promise<Mandate>>()

  constructor(options: OAuthClientOptions) {
    this.zoneId = options.zoneId
    this.applicationId = options.applicationId
    this.#stsUrl = options.stsUrl.replace(/\/+$/, '')
    this.#secret = options.clientSecret
    this.#fetch = options.fetchImpl ?? fetch
    this.#timeoutMs = options.timeoutMs ?? 30_000
    this.#onEvent = options.onEvent ?? (() => undefined)
    this.#identity = fingerprint(this.#stsUrl, options.zoneId, options.applicationId, options.clientSecret)
    this.#cache = createTokenCache(this.#timeoutMs)
  }

  /** A mandate for `resources`. Throws `CaracalError`, or `ApprovalRequiredError` for a hold. */
  async exchange(request: ExchangeRequest): Promise<Mandate> {
    request.signal?.throwIfAborted()
    const resources = uniqueSorted(request.resources.map((one) => one.trim()).filter((one) => one !== ''))
    const scopes = uniqueSorted(request.scopes ?? [])
    const run = () => this.#mint(request, resources, scopes)
    if (request.cache === false || request.approvalId !== undefined) return run()

    const key = fingerprint(
      this.#identity,
      request.subjectToken,
      request.authorityRecordId,
      request.sessionId,
      request.delegationId,
      JSON.stringify([resources, scopes]),
      request.ttlSeconds?.toString(),
    )
    const cached = request.forceRefresh === true ? null : this.#cache.get(key)
    if (cached !== null) {
      this.#onEvent({ type: 'token.exchange', resources, scopes, cached: true, ok: true, durationMs: 0 })
      return cached
    }
    const flight = request.forceRefresh === true ? undefined : this.#underway.get(key)
    if (flight !== undefined) return orAborted(flight, request.signal)
    // Shared by everyone who asks meanwhile: one caller's abort must not take it from the others.
    const shared = this.#mint({ ...request, signal: undefined }, resources, scopes)
      .then((mandate) => {
        this.#cache.set(key, mandate)
        return mandate
      })
      .finally(() => {
        if (this.#underway.get(key) === shared) this.#underway.delete(key)
      })
    this.#underway.set(key, shared)
    return orAborted(shared, request.signal)
  }

  /** A federated user's own session mandate for an id_token; never cached. */
  async federate(idToken: string, request: FederationRequest = {}): Promise<Mandate> {
    const form = this.#form()
    form.set('subject_token', idToken)
    form.set('subject_token_type', idTokenType)
    if (this.#secret !== undefined) form.set('client_secret', this.#secret)
    if (request.ttlSeconds !== undefined) form.set('ttl_seconds', String(request.ttlSeconds))
    return this.#post(form, [], [], request)
  }

  pollApproval(
    approvalId: string,
    options: { readonly timeoutMs?: number | undefined; readonly signal?: AbortSignal | undefined } = {},
  ): Promise<ApprovalState> {
    return pollApprovalState({ ...options, stsUrl: this.#stsUrl, approvalId, fetchImpl: this.#fetch })
  }

  decideApproval(options: DecideApprovalOptions): Promise<void> {
    return decideApproval(
      { stsUrl: this.#stsUrl, fetchImpl: this.#fetch, timeoutMs: this.#timeoutMs },
      options,
    )
  }

  /** Forgets every cached mandate. */
  invalidate(): void {
    this.#cache.clear()
  }

  #form(): URLSearchParams {
    return new URLSearchParams({
      grant_type: grantType,
      zone_id: this.zoneId,
      application_id: this.applicationId,
    })
  }

  #mint(request: ExchangeRequest, resources: readonly string[], scopes: readonly string[]): Promise<Mandate> {
    const form = this.#form()
    if (request.subjectToken !== undefined) {
      form.set('subject_token', request.subjectToken)
      form.set('subject_token_type', accessTokenType)
    }
    for (const resource of resources) form.append('resource', resource)
    const optional: readonly (readonly [string, string | undefined])[] = [
      ['client_secret', this.#secret],
      ['session_id', request.authorityRecordId],
      ['agent_session_id', request.sessionId],
      ['delegation_edge_id', request.delegationId],
      ['scope', scopes.length === 0 ? undefined : scopes.join(' ')],
      ['ttl_seconds', request.ttlSeconds?.toString()],
      ['approval_id', request.approvalId],
    ]
    for (const [name, value] of optional) if (value !== undefined) form.set(name, value)
    return this.#post(form, resources, scopes, request)
  }

  async #post(
    form: URLSearchParams,
    resources: readonly string[],
    scopes: readonly string[],
    request: FederationRequest,
  ): Promise<Mandate> {
    const began = performance.now()
    let status: number | undefined
    const tell = (ok: boolean, code?: string) =>
      this.#onEvent({
        type: 'token.exchange',
        resources,
        scopes,
        cached: false,
        ok,
        durationMs: performance.now() - began,
        status,
        code,
      })
    try {
      const mandate = await withDeadline(
        request.timeoutMs ?? this.#timeoutMs,
        [request.signal],
        async (signal) => {
          const response = await this.#fetch(`${this.#stsUrl}/oauth/2/token`, {
            method: 'POST',
            headers: { 'content-type': 'application/x-www-form-urlencoded' },
            body: form.toString(),
            redirect: 'manual',
            signal,
          })
          status = response.status
          const text = await readText(response, longestAnswer)
          if (!response.ok) throw stsError(response, text, resources[0])
          return mandateOf(response, text)
        },
      )
      tell(true)
      return mandate
    } catch (error) {
      const known = error instanceof CaracalError
      tell(false, known ? error.code : undefined)
      if (known || request.signal?.aborted) throw error
      throw stsUnavailable(error)
    }
  }
}

function uniqueSorted(values: readonly string[]): string[] {
  return [...new Set(values)].sort()
}
