/** `caracal secrets …`: each sub-command is loaded when it is asked for. */
import { UsageError } from '../arguments.ts'
import type { Invocation } from '../command.ts'

export async function secrets(invocation: Invocation): Promise<number> {
  const [command, ...rest] = invocation.arguments.positional
  if (command === 'reseal' && rest.length === 0) return (await import('./reseal.ts')).reseal(invocation)
  if (command === 'migrate' && rest.length === 1)
    return (await import('./migrate-backend.ts')).migrateBackend(rest[0] ?? '', invocation)
  if (command === 'reseal') throw new UsageError('secrets reseal takes no further words')
  if (command === 'migrate') throw new UsageError('secrets migrate takes one target')
  throw new UsageError(
    command === undefined ? 'secrets needs a sub-command' : `unknown sub-command secrets ${command}`,
  )
}
