/** `caracal audit …`: each sub-command is loaded when it is asked for. */
import { UsageError } from '../arguments.ts'
import type { Invocation } from '../command.ts'

export async function audit(invocation: Invocation): Promise<number> {
  const [command] = invocation.arguments.positional
  if (command === 'verify') return (await import('./verify.ts')).verify(invocation)
  if (command === 'verify-receipt') return (await import('./verify-receipt.ts')).verifyReceipt(invocation)
  throw new UsageError('audit needs a sub-command')
}
