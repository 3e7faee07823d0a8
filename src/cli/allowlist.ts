/** `caracal allowlist …`: who may use the console (sdk-cli-console §12.9). The server follows at once. */
import {
  allowlistEntry,
  allowlistPath,
  readAllowlist,
  type Standing,
  writeAllowlist,
} from '../config/operator-allowlist.ts'
import { UsageError } from './arguments.ts'
import type { Invocation } from './command.ts'
import { commandHelp } from './help.ts'
import { managedSecrets } from './managed-secrets.ts'

/** What a sub-command makes of an entry's standing: another one, the same, or a refusal. */
type Change = (standing: Standing | undefined, entry: string) => Standing | { readonly refusal: string }

const changes: Readonly<Record<string, Change>> = {
  add: (standing, entry) =>
    standing === 'locked' ? { refusal: `${entry} is locked: caracal allowlist unlock ${entry}` } : 'active',
  remove: (standing, entry) => (standing === undefined ? unknown(entry) : 'removed'),
  lock: (standing, entry) => (standing === undefined || standing === 'removed' ? unknown(entry) : 'locked'),
  unlock: (standing, entry) => (standing === undefined || standing === 'removed' ? unknown(entry) : 'active'),
}

const unknown = (entry: string) => ({ refusal: `${entry} is not on the list` })

export async function allowlist(invocation: Invocation): Promise<number> {
  const { arguments: given, env, cwd, out } = invocation
  const [command, text] = given.positional
  if (command === undefined) {
    const { allowlist: described } = await import('./commands/stack.ts')
    out.line(commandHelp(described))
    return 0
  }
  const path = allowlistPath(managedSecrets(env, cwd).directory)
  const change = changes[command]
  if (change === undefined) return list(path, invocation)
  const entry = text === undefined ? null : allowlistEntry(text)
  if (entry === null) throw new UsageError(`allowlist ${command} takes one e-mail address or @domain`)

  const entries = readAllowlist(path)
  const before = entries.get(entry)
  const after = change(before, entry)
  if (typeof after === 'object') {
    out.status('fail', after.refusal)
    return 1
  }
  if (before === after) {
    out.status('info', `${entry} is ${after} already`)
    return 0
  }
  writeAllowlist(path, new Map([...entries, [entry, after]]))
  out.status('ok', `${entry} is ${after} (${path})`)
  return 0
}

function list(path: string, { arguments: { switches }, out }: Invocation): number {
  const entries = [...readAllowlist(path)]
  if (switches.has('json')) out.line(JSON.stringify({ path, emails: Object.fromEntries(entries) }))
  else if (entries.length === 0) out.status('info', `nobody is on the list (${path})`)
  else for (const [entry, standing] of entries) out.line(`${standing.padEnd(8)} ${entry}`)
  return 0
}
