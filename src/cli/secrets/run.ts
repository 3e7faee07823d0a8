/** `caracal secrets …`: each sub-command is loaded when it is asked for. */
import { UsageError } from '../arguments.ts'
import type { Invocation } from '../command.ts'

export async function secrets(invocation: Invocation): Promise<number> {
  const [command, target] = invocation.arguments.positional
  if (command === undefined) throw new UsageError('secrets needs a sub-command')
  if (command === 'reseal') return (await import('./reseal.ts')).reseal(invocation)
  if (target === undefined) throw new UsageError('secrets migrate needs a backend')
  return (await import('./migrate-backend.ts')).migrateBackend(target, invocation)
}
