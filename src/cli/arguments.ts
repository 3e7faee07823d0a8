/** Flags of a command: `--k=v`, `--k v`, and a bare `--k` (sdk-cli-console §12.3). */

type FlagKind = 'text' | 'switch'
export type Flags = Readonly<Record<string, FlagKind>>

export interface Arguments {
  readonly values: Readonly<Record<string, string>>
  readonly switches: ReadonlySet<string>
  readonly positional: readonly string[]
}

/** The command line does not make sense; its usage is shown. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

export function parseArguments(argv: readonly string[], flags: Flags): Arguments {
  const values: Record<string, string> = {}
  const switches = new Set<string>()
  const positional: string[] = []
  for (let at = 0; at < argv.length; at += 1) {
    const argument = argv[at] ?? ''
    if (!argument.startsWith('-') || argument === '-') {
      positional.push(argument)
      continue
    }
    const [, name = '', given] = /^--?([^=]+)(?:=(.*))?$/s.exec(argument) ?? []
    const kind = Object.hasOwn(flags, name) ? flags[name] : undefined
    if (kind === undefined) throw new UsageError(`unknown option ${argument.split('=')[0]}`)
    if (kind === 'switch') {
      if (given === undefined || given === 'true') switches.add(name)
      else if (given !== 'false') throw new UsageError(`--${name} takes no value`)
      continue
    }
    const next = argv[at + 1]
    const value = given ?? (next?.startsWith('--') ? undefined : next)
    if (!value) throw new UsageError(`--${name} needs a value`)
    values[name] = value
    if (given === undefined) at += 1
  }
  return { values, switches, positional }
}
