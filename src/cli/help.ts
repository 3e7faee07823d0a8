/** Usage texts. */
import type { Command } from './command.ts'

const groups = ['STACK', 'RUNTIME', 'OPERATOR'] as const

/** The list of commands. */
export function generalHelp(commands: readonly Command[]): string {
  const width = Math.max(...commands.map((command) => command.name.length)) + 3
  const lines = ['Usage: caracal <command> [options]']
  for (const group of groups) {
    const members = commands.filter((command) => command.group === group)
    if (members.length === 0) continue
    lines.push('', group)
    for (const { name, summary } of members) lines.push(`  ${name.padEnd(width)}${summary}`)
  }
  lines.push('', 'caracal help <command> says more; caracal --version prints the version.')
  return lines.join('\n')
}

/** The help of one command. */
export function commandHelp(command: Command): string {
  return [
    `Usage: caracal ${command.name} ${command.synopsis}`.trimEnd(),
    '',
    `${command.summary[0]?.toUpperCase()}${command.summary.slice(1)}.`,
    ...(command.details.length > 0
      ? ['', ...command.details.map((line) => (line === '' ? '' : `  ${line}`))]
      : []),
  ].join('\n')
}
