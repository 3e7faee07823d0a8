/** The launcher's two routes of the STS, read with suspicion (sdk-cli-console §12.6). */
import { randomUUID } from 'node:crypto'
import { withDeadline } from '../../sdk/deadline.ts'
import { CaracalError } from '../../sdk/errors.ts'
import { stsError } from '../../sdk/oauth/answer.ts'
import { type ApprovalState, pollApprovalState } from '../../sdk/oauth/approvals.ts'
import { jsonObject, readText, textMember } from '../../sdk/read-body.ts'
import type { WorkloadIdentity } from './identity.ts'

export interface Binding {
  readonly env: string
  readonly resource: string
  readonly optional: boolean
  readonly onFailure: 'warn' | 'error'
}

export interface Credential {
  readonly credential: string
  /** Epoch seconds. */
  readonly expiresAt: number | undefined
}

export interface LaunchClient {
  /** The bindings, checked again here: a server gone wrong must not choose what a shell loads. */
  manifest(): Promise<readonly Binding[]>
  credential(binding: Binding, approvalId?: string): Promise<Credential>
  approval(approvalId: string, timeoutMs: number): Promise<ApprovalState>
}

const timeoutMs = 30_000
const longestAnswer = 1024 * 1024

export function createLaunchClient(identity: WorkloadIdentity): LaunchClient {
  const launchId = randomUUID()
  const { stsUrl, workloadId, secret } = identity

  function post(path: string, fields: Readonly<Record<string, string>>, resource = ''): Promise<Body> {
    return withDeadline(timeoutMs, [], async (signal) => {
      const response = await fetch(`${stsUrl}${path}`, {
        method: 'POST',
        headers: {
          'content-type': 'application/x-www-form-urlencoded',
          'x-caracal-launch-id': launchId,
        },
        body: new URLSearchParams({ workload_id: workloadId, secret, ...fields }).toString(),
        redirect: 'manual',
        signal,
      })
      const text = await readText(response, longestAnswer)
      if (!response.ok) throw stsError(response, text, resource)
      const body = jsonObject(text)
      if (body === null) throw new CaracalError('invalid_response', 'STS answered something other than JSON')
      return body
    }).catch((error: unknown) => {
      if (error instanceof CaracalError) throw error
      const late = error instanceof Error && error.name === 'TimeoutError'
      throw new CaracalError(
        'sts_unavailable',
        `STS at ${stsUrl} ${late ? 'did not answer in time' : 'cannot be reached'}`,
      )
    })
  }

  return {
    manifest: async () => bindingsOf(await post('/v1/run/manifest', {})),
    async credential(binding, approvalId) {
      const fields = { env: binding.env, ...(approvalId === undefined ? {} : { approval_id: approvalId }) }
      return credentialOf(await post('/v1/run/credential', fields, binding.resource), binding)
    },
    approval: (approvalId, wait) =>
      pollApprovalState({
        stsUrl,
        approvalId,
        timeoutMs: wait,
        fetchImpl: (input, init) =>
          fetch(input, { ...init, headers: { ...init?.headers, 'x-caracal-launch-id': launchId } }),
      }),
  }
}

type Body = Readonly<Record<string, unknown>>

const loaders = new Set([
  'NODE_OPTIONS',
  'BUN_OPTIONS',
  'LD_PRELOAD',
  'LD_LIBRARY_PATH',
  'DYLD_INSERT_LIBRARIES',
  'DYLD_LIBRARY_PATH',
])

function bindingsOf(manifest: Body): Binding[] {
  const invalid = (what: string) => new CaracalError('invalid_response', `STS answered a manifest ${what}`)
  if (textMember(manifest.zone_id) === undefined || textMember(manifest.workload_id) === undefined)
    throw invalid('without zone_id or workload_id')
  if (!Array.isArray(manifest.bindings) || manifest.bindings.length === 0) throw invalid('without bindings')
  const seen = new Set<string>()
  return manifest.bindings.map((entry: unknown) => {
    const row = (typeof entry === 'object' && entry !== null ? entry : {}) as Body
    const env = textMember(row.env)
    const resource = textMember(row.resource)
    const { scopes = [], on_failure: onFailure = 'error' } = row
    if (env === undefined || resource === undefined)
      throw invalid('with a binding that lacks env or resource')
    if (!Array.isArray(scopes) || scopes.some((scope) => textMember(scope) === undefined))
      throw invalid(`with scopes of ${env} that are not texts`)
    if (onFailure !== 'warn' && onFailure !== 'error') throw invalid(`with an unknown on_failure of ${env}`)
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(env) || loaders.has(env.toUpperCase()))
      throw invalid(`with the environment name ${JSON.stringify(env)}, which is refused`)
    if (seen.has(env)) throw invalid(`that names ${env} twice`)
    seen.add(env)
    return { env, resource, optional: row.optional === true, onFailure }
  })
}

function credentialOf(body: Body, binding: Binding): Credential {
  const credential = textMember(body.credential)
  const expiresAt = body.expires_at
  if (body.env !== binding.env || credential === undefined || credential.includes('\0'))
    throw new CaracalError('invalid_response', `STS answered no credential for ${binding.env}`)
  if (expiresAt !== undefined && !(typeof expiresAt === 'number' && Number.isInteger(expiresAt)))
    throw new CaracalError(
      'invalid_response',
      `STS answered an expires_at of ${binding.env} that is no integer`,
    )
  return { credential, expiresAt: expiresAt as number | undefined }
}
