/** `caracal completion <shell>`: a script that completes commands, options and their values. */
import { UsageError } from './arguments.ts'
import type { Command, Invocation } from './command.ts'
import { commands } from './commands.ts'

export const shells = ['bash', 'zsh', 'fish', 'powershell'] as const

export async function completion({ arguments: { positional }, out }: Invocation): Promise<number> {
  const [shell] = positional
  if (shell === 'bash') out.raw(bash())
  else if (shell === 'zsh') out.raw(`autoload -U +X bashcompinit && bashcompinit\n${bash()}`)
  else if (shell === 'fish') out.raw(fish())
  else if (shell === 'powershell') out.raw(powershell())
  else throw new UsageError(`completion takes one of ${shells.join(', ')}`)
  return 0
}

const dashed = (name: string): string => (name.length === 1 ? `-${name}` : `--${name}`)
const flagsOf = (command: Command): string[] => Object.keys(command.flags).map(dashed)
const wordsOf = (command: Command): readonly string[] =>
  command.offers?.words ?? Object.keys(command.subcommands ?? {})
const names = (): string[] => [...commands.map(({ name }) => name), 'help']

function bash(): string {
  const perCommand = commands.map((command) => {
    const values = Object.entries(command.offers?.flags ?? {}).map(
      ([flag, offered]) => `        --${flag}) words="${offered.join(' ')}" ;;`,
    )
    return [
      `    ${command.name})`,
      '      case "$previous" in',
      ...values,
      `        *) words="${[...wordsOf(command), ...flagsOf(command)].join(' ')}" ;;`,
      '      esac ;;',
    ].join('\n')
  })
  return `_caracal() {
  local word="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" words=""
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${names().join(' ')}" -- "$word"))
    return
  fi
  case "\${COMP_WORDS[1]}" in
    help) words="${names().join(' ')}" ;;
${perCommand.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o default -F _caracal caracal
`
}

function fish(): string {
  const quoted = (text: string) => `'${text.replaceAll("'", "\\'")}'`
  const lines = ['complete -c caracal -f']
  for (const command of commands) {
    const inside = `-n '__fish_seen_subcommand_from ${command.name}'`
    lines.push(
      `complete -c caracal -n __fish_use_subcommand -a ${command.name} -d ${quoted(command.summary)}`,
    )
    for (const [flag, kind] of Object.entries(command.flags)) {
      const offered = command.offers?.flags?.[flag]
      const value =
        offered === undefined ? (kind === 'text' ? ' -r' : '') : ` -x -a ${quoted(offered.join(' '))}`
      lines.push(`complete -c caracal ${inside} ${flag.length === 1 ? '-s' : '-l'} ${flag}${value}`)
    }
    for (const word of wordsOf(command)) lines.push(`complete -c caracal ${inside} -a ${word}`)
  }
  return `${lines.join('\n')}\n`
}

function powershell(): string {
  const table = commands.map(
    (command) =>
      `    '${command.name}' = @(${[...wordsOf(command), ...flagsOf(command)].map((word) => `'${word}'`).join(', ')})`,
  )
  return `Register-ArgumentCompleter -Native -CommandName caracal -ScriptBlock {
  param($word, $ast, $cursor)
  $table = @{
${table.join('\n')}
  }
  $given = @($ast.CommandElements | ForEach-Object { $_.ToString() })
  $offered = if ($given.Count -le 1 -or ($given.Count -eq 2 -and $word)) { @($table.Keys) } else { $table[$given[1]] }
  $offered | Where-Object { $_ -like "$word*" } | ForEach-Object {
    [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_)
  }
}
`
}
