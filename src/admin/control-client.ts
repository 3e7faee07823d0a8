/** Zone-bound automation over control invoke: one token and one call each (sdk-cli-console §10.2). */
import { orAborted, withDeadline } from '../sdk/deadline.ts'
import { failureOf } from '../sdk/network-failure.ts'
import { jsonObject, readText, textMember } from '../sdk/read-body.ts'

export interface ControlClientOptions {
  readonly controlUrl: string
  readonly stsUrl: string
  readonly applicationId: string
  readonly clientSecret: string
  /** Default `caracal-control`. */
  readonly audience?: string | undefined
  readonly fetchImpl?: typeof fetch | undefined
  /** Token and call together; default 30 000. */
  readonly timeoutMs?: number | undefined
}

export interface Invocation {
  readonly command: string
  readonly subcommand: string
  readonly flags?: Readonly<Record<string, unknown>> | undefined
  /** Default: what the command needs. */
  readonly scopes?: readonly string[] | undefined
  readonly ttlSeconds?: number | undefined
  readonly authorizedBy?: string | undefined
  readonly coAuthorOperator?: boolean | undefined
  readonly zoneScope?: string | undefined
  readonly requestId?: string | undefined
  readonly signal?: AbortSignal | undefined
}

/** The token could not be had, or the call was refused. `definitive`: the server said no (4xx). */
export class ControlClientError extends Error {
  override readonly name = 'ControlClientError'
  readonly stage: 'token' | 'invoke'
  /** 0 when there was no response. */
  readonly status: number
  readonly reason: string
  readonly code: string | undefined
  readonly remediation: string | undefined

  constructor(
    stage: 'token' | 'invoke',
    status: number,
    facts: {
      readonly reason: string
      readonly code?: string | undefined
      readonly remediation?: string | undefined
    },
  ) {
    super(`control ${stage} failed: ${facts.reason}`)
    this.stage = stage
    this.status = status
    this.reason = facts.reason
    this.code = facts.code
    this.remediation = facts.remediation
  }

  get definitive(): boolean {
    return this.status >= 400 && this.status < 500
  }
}

const readWords = new Set([
  'list',
  'get',
  'tree',
  'tail',
  'active',
  'inbound',
  'outbound',
  'traverse',
  'validate',
  'simulate',
])
const deleteWords = new Set(['delete', 'terminate', 'revoke'])
const nouns = {
  application: 'app',
  'identity-provider': 'identity-provider',
  resource: 'resource',
  policy: 'policy',
  'policy-set': 'policy-set',
} as const

/** `control:<command>:<verb>`; null for commands that only delegate to others. */
export function scopeOf(command: string, subcommand: string): string | null {
  if (command === 'state' || command === 'ensure' || command === 'catalog') return null
  if (command === 'explain' || (command === 'audit' && subcommand === 'admin'))
    return `control:${command}:read`
  const verb = readWords.has(subcommand) ? 'read' : deleteWords.has(subcommand) ? 'delete' : 'write'
  return `control:${command}:${verb}`
}

export class ControlClient {
  readonly #options: ControlClientOptions

  constructor(options: ControlClientOptions) {
    this.#options = options
  }

  /** The command's result; undefined for commands without one. Neither request is repeated. */
  async invoke(invocation: Invocation): Promise<unknown> {
    let stage: 'token' | 'invoke' = 'token'
    const work = withDeadline(this.#options.timeoutMs ?? 30_000, [invocation.signal], async (signal) => {
      const token = await this.#token(invocation, signal)
      stage = 'invoke'
      return this.#call(invocation, token, signal)
    })
    try {
      return await orAborted(work, invocation.signal)
    } catch (error) {
      if (error instanceof ControlClientError || invocation.signal?.aborted) throw error
      throw new ControlClientError(stage, 0, { reason: failureOf(error) })
    }
  }

  async #token(invocation: Invocation, signal: AbortSignal): Promise<string> {
    const { stsUrl, applicationId, clientSecret, audience = 'caracal-control' } = this.#options
    const form = new URLSearchParams({
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      application_id: applicationId,
      client_secret: clientSecret,
      resource: audience,
      scope: (invocation.scopes ?? defaultScopes(invocation)).join(' '),
    })
    if (invocation.ttlSeconds !== undefined) form.set('ttl_seconds', String(invocation.ttlSeconds))
    const response = await (this.#options.fetchImpl ?? fetch)(`${stsUrl.replace(/\/+$/, '')}/oauth/2/token`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...requestIdOf(invocation) },
      body: form.toString(),
      redirect: 'manual',
      signal,
    })
    const body = jsonObject(await readText(response, 1024 * 1024))
    const token = textMember(body?.access_token)
    if (response.ok && token !== undefined) return token
    throw new ControlClientError('token', response.status, {
      reason:
        textMember(body?.error_description) ?? textMember(body?.error) ?? `STS answered ${response.status}`,
      code: textMember(body?.error),
    })
  }

  async #call(invocation: Invocation, token: string, signal: AbortSignal): Promise<unknown> {
    const { command, subcommand, flags, authorizedBy, coAuthorOperator, zoneScope } = invocation
    const url = `${this.#options.controlUrl.replace(/\/+$/, '')}/v1/control/invoke`
    const response = await (this.#options.fetchImpl ?? fetch)(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: `Bearer ${token}`,
        ...(zoneScope === undefined ? {} : { 'x-caracal-zone-scope': zoneScope }),
        ...requestIdOf(invocation),
      },
      body: JSON.stringify({
        command,
        subcommand,
        flags: flags ?? {},
        authorized_by: authorizedBy,
        co_author_operator: coAuthorOperator,
      }),
      redirect: 'manual',
      signal,
    })
    const body = jsonObject(await readText(response, 32 * 1024 * 1024))
    if (response.ok && body !== null) return body.result
    const error = (typeof body?.error === 'object' ? body.error : {}) as Readonly<Record<string, unknown>>
    throw new ControlClientError('invoke', response.status, {
      reason: textMember(error.reason) ?? textMember(body?.error) ?? `control answered ${response.status}`,
      code: textMember(error.code),
      remediation: textMember(error.remediation),
    })
  }
}

/** What a command needs; for delegating ones what it delegates to can need. */
function defaultScopes({ command, subcommand }: Invocation): string[] {
  const scope = scopeOf(command, subcommand)
  if (scope !== null) return [scope]
  const verbs = command === 'state' && subcommand !== 'apply' ? ['read'] : ['read', 'write']
  if (command === 'ensure') {
    const noun = nouns[subcommand as keyof typeof nouns] ?? subcommand
    return verbs.map((verb) => `control:${noun}:${verb}`)
  }
  return command === 'catalog'
    ? ['control:app:read']
    : Object.values(nouns).flatMap((noun) => verbs.map((verb) => `control:${noun}:${verb}`))
}

function requestIdOf({ requestId }: Invocation): Record<string, string> {
  return requestId === undefined ? {} : { 'x-request-id': requestId }
}
