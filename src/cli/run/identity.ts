/** Who launches: a workload's id, its secret and the STS to ask (sdk-cli-console §12.6). */
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { generatedSecrets } from '../../config/secrets.ts'
import { configDirectory, type Environment, pathSegment } from '../../sdk/config/directory.ts'
import { readPrivateFile } from '../../sdk/config/private-file.ts'
import { isProduction, isSecureEnough } from '../../sdk/config/urls.ts'

export interface WorkloadIdentity {
  readonly workloadId: string
  readonly secret: string
  readonly stsUrl: string
}

/** Throws one sentence when anything is missing, doubtful or unsafe. */
export function workloadIdentity(env: Environment): WorkloadIdentity {
  const workloadId = env.CARACAL_WORKLOAD_ID
  if (!workloadId) throw new Error('CARACAL_WORKLOAD_ID is not set')
  return { workloadId, secret: workloadSecret(env, workloadId), stsUrl: stsUrl(env) }
}

function workloadSecret(env: Environment, workloadId: string): string {
  const { CARACAL_WORKLOAD_SECRET: inline, CARACAL_WORKLOAD_SECRET_FILE: file } = env
  if (inline && file) throw new Error('set CARACAL_WORKLOAD_SECRET or CARACAL_WORKLOAD_SECRET_FILE, not both')
  if (inline) return inline
  if (file?.startsWith('ws_'))
    throw new Error(
      'CARACAL_WORKLOAD_SECRET_FILE holds the secret itself: put it into CARACAL_WORKLOAD_SECRET',
    )
  if (file) return readPrivateFile(file, 'CARACAL_WORKLOAD_SECRET_FILE')
  const left = join(configDirectory(env), 'runtime', pathSegment(workloadId), 'secret')
  if (!isProduction(env) && existsSync(left)) return readPrivateFile(left, left)
  throw new Error('CARACAL_WORKLOAD_SECRET or CARACAL_WORKLOAD_SECRET_FILE is not set')
}

function stsUrl(env: Environment): string {
  const given = env.CARACAL_STS_URL || env.CARACAL_ZONE_URL
  const environment = env.CARACAL_ENV || env.NODE_ENV
  if (!given && environment && environment !== 'development')
    throw new Error(`CARACAL_STS_URL is required in the environment ${environment}`)
  const text = given || 'http://localhost:8080'
  if (!URL.canParse(text)) throw new Error('CARACAL_STS_URL is not a URL')
  const url = new URL(text)
  const allowed = env.CARACAL_ALLOW_INSECURE_CONFIG_URLS === 'true' && url.protocol === 'http:'
  if (!isSecureEnough(url) && !allowed)
    throw new Error('CARACAL_STS_URL must be https (CARACAL_ALLOW_INSECURE_CONFIG_URLS=true allows http)')
  return text.replace(/\/+$/, '')
}

/**
 * A launched program can read the files of its repository: with the operator's secrets among
 * them it could make itself an operator. Throws unless CARACAL_RUN_ALLOW_WORKSPACE_SECRETS=true.
 */
export function assertNoWorkspaceSecrets(env: Environment, cwd: string): void {
  if (env.CARACAL_RUN_ALLOW_WORKSPACE_SECRETS === 'true') return
  for (const directory of workspaceDirectories(cwd)) {
    const secrets = join(directory, '.caracal', 'secrets')
    const found = Object.values(generatedSecrets).find(({ file }) => existsSync(join(secrets, file)))
    if (found !== undefined)
      throw new Error(
        `operator secrets are visible from this workspace (${secrets}): move them, or set CARACAL_RUN_ALLOW_WORKSPACE_SECRETS=true`,
      )
  }
}

/** From `cwd` up to the root of its repository; only `cwd` outside any. */
function workspaceDirectories(cwd: string): string[] {
  const seen: string[] = []
  for (let directory = cwd; ; directory = dirname(directory)) {
    seen.push(directory)
    if (existsSync(join(directory, '.git'))) return seen
    if (dirname(directory) === directory) return [cwd]
  }
}
