/** Flags of a command: `--k=v`, `--k v`, and a bare `--k` (sdk-cli-console §12.3). */

type FlagKind = 'text' | 'switch'
export type Flags = Readonly<Record<string, FlagKind>>

/** What a command takes. */
export interface Grammar {
  readonly name: string
  readonly flags: Flags
  /** Most words besides options; default none. */
  readonly takes?: number
  /** What its first word may be, with the words besides it and those of the flags that it reads. */
  readonly subcommands?: Readonly<
    Record<string, { readonly takes?: number; readonly flags: readonly string[] }>
  >
}

export interface Arguments {
  readonly values: Readonly<Record<string, string>>
  readonly switches: ReadonlySet<string>
  readonly positional: readonly string[]
}

/** The command line does not make sense; its usage is shown. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** The words of a command; what it would not look at is refused. */
export function argumentsOf(words: readonly string[], grammar: Grammar): Arguments {
  const { name, flags, takes = 0, subcommands } = grammar
  const parsed = parseArguments(words, flags)
  const { positional, values, switches } = parsed
  const [first] = positional
  if (subcommands === undefined || first === undefined) return assertNoMore(parsed, takes)
  const chosen = Object.hasOwn(subcommands, first) ? subcommands[first] : undefined
  if (chosen === undefined) throw new UsageError(`unknown sub-command ${name} ${first.slice(0, 64)}`)
  const stray = [...Object.keys(values), ...switches].find((flag) => !chosen.flags.includes(flag))
  if (stray !== undefined) throw new UsageError(`${name} ${first} does not take --${stray}`)
  return assertNoMore(parsed, 1 + (chosen.takes ?? 0))
}

function assertNoMore(parsed: Arguments, most: number): Arguments {
  const surplus = parsed.positional[most]
  if (surplus === undefined) return parsed
  throw new UsageError(`unexpected argument ${JSON.stringify(surplus.slice(0, 64))}`)
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
