/** `caracal run`: a program with credentials of its own, and nothing of ours (sdk-cli-console §12.6). */
import { ApprovalRequiredError, CaracalError } from '../../sdk/errors.ts'
import type { Invocation } from '../command.ts'
import { commands } from '../commands.ts'
import { commandHelp } from '../help.ts'
import type { Output } from '../output.ts'
import { passedEnvironment, runChild } from './child.ts'
import { assertNoWorkspaceSecrets, workloadIdentity } from './identity.ts'
import { type Binding, type Credential, createLaunchClient, type LaunchClient } from './launch-client.ts'

/** The child's own exit code; 1 for anything before it starts. */
export async function run({ words, env, cwd, out }: Invocation): Promise<number> {
  const argv = words[0] === '--' ? words.slice(1) : words
  if (argv.length === 0) {
    const command = commands.find(({ name }) => name === 'run')
    if (command !== undefined) out.errorLine(commandHelp(command))
    return 1
  }
  if (argv.some((word) => word.includes('\0'))) throw new Error('an argument holds a NUL character')
  const identity = workloadIdentity(env)
  assertNoWorkspaceSecrets(env, cwd)
  const client = createLaunchClient(identity)
  const bindings = await client.manifest()
  const environment = passedEnvironment(env)
  const names = new Set(bindings.map((binding) => binding.env))
  for (const binding of bindings) {
    const credential = await obtain(client, binding, out)
    if (credential === 'failed') return 1
    if (credential === 'skipped') continue
    environment[binding.env] = credential.credential
    const expiry = `${binding.env}_EXPIRES_AT`
    if (credential.expiresAt !== undefined && !names.has(expiry))
      environment[expiry] = String(credential.expiresAt)
  }
  return runChild(argv, environment, out)
}

async function obtain(
  client: LaunchClient,
  binding: Binding,
  out: Output,
): Promise<Credential | 'skipped' | 'failed'> {
  try {
    return await withApproval(client, binding, out)
  } catch (error) {
    if (!(error instanceof CaracalError)) throw error
    const { resource } = binding
    if (binding.optional && binding.onFailure === 'warn') {
      out.errorLine(`optional credential skipped resource=${resource} reason=${error.message}`)
      return 'skipped'
    }
    const { requestId } = error
    out.errorLine(
      JSON.stringify({ resource, reason: error.code, ...(requestId === undefined ? {} : { requestId }) }),
    )
    out.status('fail', `${resource}: ${error.message}`)
    return 'failed'
  }
}

const shortestWaitMs = 5_000
const unknownWaitMs = 300_000

async function withApproval(client: LaunchClient, binding: Binding, out: Output): Promise<Credential> {
  try {
    return await client.credential(binding)
  } catch (error) {
    if (!(error instanceof ApprovalRequiredError)) throw error
    out.errorLine(
      JSON.stringify({
        resource: binding.resource,
        approval_id: error.approvalId,
        binding: error.binding,
        expires_at: error.expiresAt,
        reason: 'approval_required',
      }),
    )
    const left = error.expiresAt === undefined ? Number.NaN : Date.parse(error.expiresAt) - Date.now()
    const state = await client.approval(
      error.approvalId,
      Number.isNaN(left) ? unknownWaitMs : Math.max(left, shortestWaitMs),
    )
    if (state !== 'approved')
      throw new CaracalError(`approval_${state}`, `approval_${state}`, { requestId: error.requestId })
    return client.credential(binding, error.approvalId)
  }
}
