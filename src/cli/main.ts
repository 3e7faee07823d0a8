/** argv → command → exit code (sdk-cli-console §12.3). */
import type { Environment } from '../config/load.ts'
import { argumentsOf, UsageError } from './arguments.ts'
import type { Command } from './command.ts'
import { commands } from './commands.ts'
import { commandEnvironment } from './environment.ts'
import { explainError } from './explain-error.ts'
import { commandHelp, generalHelp } from './help.ts'
import { createOutput, type Output, type OutputStream } from './output.ts'

export interface Terminal {
  readonly env: Environment
  readonly cwd: string
  readonly stdout: OutputStream
  readonly stderr: OutputStream
}

const helpWords: ReadonlySet<string> = new Set(['help', '--help', '-h'])
const versionWords: ReadonlySet<string> = new Set(['--version', '-v'])

/** Runs one command line and answers its exit code; never rejects. */
export async function runCommandLine(argv: readonly string[], terminal: Terminal): Promise<number> {
  const out = createOutput(terminal.env, terminal.stdout, terminal.stderr)
  const words = argv[0] === '--' ? argv.slice(1) : [...argv]
  const [first, ...rest] = words
  try {
    if (first === undefined || helpWords.has(first)) return help(rest, out)
    const name = versionWords.has(first) ? 'version' : first
    const command = find(name)
    if (command === undefined) return unknown(name, out)
    if (asksForHelp(command, rest)) {
      out.line(commandHelp(command))
      return 0
    }
    return await invoke(command, rest, terminal, out)
  } catch (error) {
    if (error instanceof UsageError) {
      out.status('fail', error.message)
      const command = find(first ?? '')
      out.errorLine(command === undefined ? generalHelp(commands) : commandHelp(command))
      return 1
    }
    out.errorLine(`caracal: ${explainError(error)}`)
    return 1
  }
}

/** As the first word in every spelling; as an option behind sub-commands and other options too. */
function asksForHelp({ verbatim }: Command, words: readonly string[]): boolean {
  if (helpWords.has(words[0] ?? '')) return true
  return verbatim !== true && words.some((word) => word === '--help' || word === '-h')
}

async function invoke(
  command: Command,
  words: readonly string[],
  terminal: Terminal,
  out: Output,
): Promise<number> {
  const parsed = argumentsOf(command.verbatim ? [] : words, command)
  const { env, removed } = commandEnvironment(terminal.env, terminal.cwd)
  for (const name of removed)
    out.status('warn', `${name} is ignored because an .env file of this directory sets it`)
  const run = await command.load()
  return run({
    arguments: parsed,
    words,
    env,
    cwd: terminal.cwd,
    out: createOutput(env, terminal.stdout, terminal.stderr),
  })
}

function find(name: string): Command | undefined {
  return /^[a-z][a-z0-9-]{0,31}$/.test(name) ? commands.find((command) => command.name === name) : undefined
}

function help(words: readonly string[], out: Output): number {
  const [topic] = argumentsOf(words, { name: 'help', flags: {}, takes: 1 }).positional
  if (topic === undefined) {
    out.line(generalHelp(commands))
    return 0
  }
  const command = find(topic)
  if (command === undefined) return unknown(topic, out)
  out.line(commandHelp(command))
  return 0
}

function unknown(name: string, out: Output): number {
  out.status('fail', `unknown command ${JSON.stringify(name.slice(0, 64))}`)
  out.errorLine(generalHelp(commands))
  return 1
}
