/** The commands, in the order of the help. */
import type { Command } from './command.ts'
import { operatorCommands } from './commands/operator.ts'
import { runtimeCommands } from './commands/runtime.ts'
import { stackCommands } from './commands/stack.ts'

export const commands: readonly Command[] = [...stackCommands, ...runtimeCommands, ...operatorCommands]
