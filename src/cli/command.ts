/** What a command is to the command line. */
import type { Environment } from '../config/load.ts'
import type { Arguments, Grammar } from './arguments.ts'
import type { Output } from './output.ts'

export interface Invocation {
  readonly arguments: Arguments
  /** The words after the command as they were typed. */
  readonly words: readonly string[]
  readonly env: Environment
  readonly cwd: string
  readonly out: Output
}

/** A loaded command: answers its exit code. */
type Run = (invocation: Invocation) => Promise<number>

export interface Command extends Grammar {
  readonly group: 'STACK' | 'RUNTIME' | 'OPERATOR'
  /** One line in the list of commands. */
  readonly summary: string
  /** After `caracal <name>` in its own help. */
  readonly synopsis: string
  /** Options with their explanations, one line each, and whatever else helps. */
  readonly details: readonly string[]
  /** Its words belong to another program: they are not read as options. */
  readonly verbatim?: true
  /** What `completion` offers as first word, where that is no sub-command, and as value of a flag. */
  readonly offers?: {
    readonly words?: readonly string[]
    readonly flags?: Readonly<Record<string, readonly string[]>>
  }
  /** Modules are loaded when the command runs: `help` must not pay for the server. */
  readonly load: () => Promise<Run>
}
