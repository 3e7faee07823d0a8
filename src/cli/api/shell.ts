/** `caracal shell`: the API by hand, with completion; from a pipe, line by line (sdk-cli-console §12.10). */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import { Writable } from 'node:stream'
import type { Environment } from '../../config/load.ts'
import { configDirectory } from '../../sdk/config/directory.ts'
import { argumentsOf } from '../arguments.ts'
import type { Invocation } from '../command.ts'
import { commands } from '../commands.ts'
import { status as statusCommand } from '../status.ts'
import { type AskSecret, auth, whoAmI } from './auth.ts'
import { type ApiKnowledge, completeLine, createApiKnowledge } from './complete.ts'
import { findAccess } from './login-file.ts'
import { parseApiLine, prettyBody, requestLine, sendApiLine, statusLine } from './request.ts'

const help = [
  '/api [METHOD] <path> [json]   call the API; a path without / is of /v1, {zone} is the selected zone',
  '/zone [id or slug]            select a zone, or show which is selected',
  '/status [--ready] [--role r]  health of the services',
  '/whoami                       whom the server takes you for',
  '/login, /logout               as caracal auth',
  '/help, /quit',
].join('\n')

interface Shell {
  readonly invocation: Invocation
  readonly known: ApiKnowledge
  zone: string | undefined
  quit: boolean
}

/** Lines of earlier shells. */
export const historyPath = (env: Environment): string => join(configDirectory(env), 'history')

export async function shell(invocation: Invocation): Promise<number> {
  const { env, cwd } = invocation
  const known = createApiKnowledge(() => findAccess(env, cwd))
  const state: Shell = { invocation, known, zone: undefined, quit: false }
  return process.stdin.isTTY ? interactive(state) : piped(state)
}

/** Ends with 1 at the first line that fails. */
async function piped(state: Shell): Promise<number> {
  const lines = lineReader(createInterface({ input: process.stdin }))
  const askSecret = async () => (await lines.next()) ?? ''
  for (let line = await lines.next(); line !== null; line = await lines.next()) {
    if (line.trim() === '' || line.trimStart().startsWith('#')) continue
    if (!(await runLine(state, line, askSecret))) return 1
    if (state.quit) break
  }
  return 0
}

async function interactive(state: Shell): Promise<number> {
  const { env, out } = state.invocation
  const path = historyPath(env)
  const kept = existsSync(path) ? readFileSync(path, 'utf8').split('\n').filter(Boolean) : []
  let hidden = false
  const terminal = createInterface({
    input: process.stdin,
    output: echo(() => !hidden),
    terminal: true,
    prompt: 'caracal> ',
    history: kept.toReversed(),
    historySize: 1000,
    completer: (line: string, done: (error: null, result: [string[], string]) => void) => {
      completeLine(line, state.known).then(
        (result) => done(null, result),
        () => done(null, [[], line]),
      )
    },
  })
  const lines = lineReader(terminal)
  // From the Enter after /login on, whether or not the question is on the screen yet.
  terminal.on('line', (line) => {
    if (commandOf(line) === '/login') hidden = true
  })
  terminal.on('history', (history) => {
    if (hidden) history.shift()
  })
  terminal.on('SIGINT', () => {
    process.stdout.write('\n')
    terminal.write(null, { ctrl: true, name: 'u' })
    if (hidden) return terminal.write('\n')
    out.line('/quit leaves the shell')
    terminal.prompt()
  })
  const askSecret = async (prompt: string) => {
    process.stdout.write(prompt)
    const secret = await lines.next()
    process.stdout.write('\n')
    return secret ?? ''
  }
  terminal.prompt()
  for (let line = await lines.next(); line !== null; line = await lines.next()) {
    if (line.trim() !== '') {
      if (!looksSecret(line)) kept.push(line)
      await runLine(state, line, askSecret)
    }
    if (state.quit) break
    if (commandOf(line) === '/login') hidden = false
    terminal.prompt()
  }
  terminal.close()
  keepHistory(path, kept)
  return 0
}

/** One reader of stdin for commands and secrets alike: what is typed ahead waits for its turn. */
function lineReader(lines: Interface): { next(): Promise<string | null> } {
  const typed = lines[Symbol.asyncIterator]()
  return {
    async next() {
      const { done, value } = await typed.next()
      return done === true ? null : value
    },
  }
}

/** Standard output for what readline shows of the line that is typed. */
function echo(isShown: () => boolean): Writable {
  const { stdout } = process
  const stream = new Writable({
    decodeStrings: false,
    write(chunk, _encoding, done) {
      if (isShown()) stdout.write(chunk)
      done()
    },
  })
  Object.defineProperty(stream, 'columns', { get: () => stdout.columns })
  stdout.on('resize', () => stream.emit('resize'))
  return stream
}

/** Lines that carry a secret are not written down. */
export function looksSecret(line: string): boolean {
  return /secret|token|password|api_key/i.test(line)
}

function keepHistory(path: string, lines: readonly string[]): void {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    writeFileSync(path, `${lines.slice(-1000).join('\n')}\n`, { mode: 0o600 })
  } catch {
    // A shell without a memory is still a shell.
  }
}

const commandOf = (line: string): string => line.trim().split(/\s+/, 1)[0] ?? ''

/** Whether the line did what it should. */
async function runLine(state: Shell, line: string, askSecret: AskSecret): Promise<boolean> {
  const { out } = state.invocation
  const [command = '', ...words] = line.trim().split(/\s+/)
  try {
    switch (command) {
      case '/api':
        return await callApi(state, line.trim().slice('/api'.length).trim())
      case '/zone':
        return await selectZone(state, words[0])
      case '/status':
        return (await statusCommand(withWords(state.invocation, 'status', words))) === 0
      case '/whoami':
        return await tellWho(state)
      case '/login':
      case '/logout': {
        state.known.forget()
        const invocation = withWords(state.invocation, 'auth', [command.slice(1), ...words])
        return (await auth(invocation, askSecret)) === 0
      }
      case '/help':
        out.line(help)
        return true
      case '/quit':
      case '/q':
      case 'quit':
      case 'exit':
        state.quit = true
        return true
      default:
        out.status('fail', `unknown line: ${command} (try /help)`)
        return false
    }
  } catch (error) {
    out.status('fail', error instanceof Error ? error.message : String(error))
    return false
  }
}

async function callApi(state: Shell, text: string): Promise<boolean> {
  const { env, cwd, out } = state.invocation
  // The body keeps its spaces; only method and path are words.
  const [, first = '', rest = ''] = /^(\S+)\s*(.*)$/s.exec(text) ?? []
  const words = /^[A-Za-z]+$/.test(first) && rest !== '' ? [first, ...splitOnce(rest)] : splitOnce(text)
  const line = parseApiLine(words, state.zone)
  const access = findAccess(env, cwd)
  if (access === null) throw new Error('not logged in: /login')
  out.line(out.dim(requestLine(line)))
  const answer = await sendApiLine(access, line)
  out.line(out.dim(statusLine(answer)))
  if (answer.body !== '') out.raw(`${prettyBody(answer.body)}\n`)
  return answer.status >= 200 && answer.status < 300
}

function splitOnce(text: string): string[] {
  const [, path = '', body = ''] = /^(\S+)\s*(.*)$/s.exec(text) ?? []
  return body === '' ? [path] : [path, body]
}

async function selectZone(state: Shell, wanted: string | undefined): Promise<boolean> {
  const { out } = state.invocation
  const zones = await state.known.zones()
  if (wanted === undefined) {
    for (const zone of zones)
      out.line(`${zone.id === state.zone ? '*' : ' '} ${zone.id}  ${zone.slug}  ${zone.name}`)
    return true
  }
  const zone = zones.find(({ id, slug }) => id === wanted || slug === wanted)
  if (zone === undefined) {
    out.status('fail', `there is no zone ${wanted}`)
    return false
  }
  state.zone = zone.id
  out.status('ok', `zone ${zone.id} ${zone.name}`)
  return true
}

async function tellWho(state: Shell): Promise<boolean> {
  const { env, cwd, out } = state.invocation
  const access = findAccess(env, cwd)
  if (access === null) throw new Error('not logged in: /login')
  const known = await whoAmI(access.server, access.token)
  out.line(
    known.outcome === 'valid' ? `${known.name} at ${access.server}` : `${known.outcome} at ${access.server}`,
  )
  return known.outcome === 'valid'
}

function withWords(invocation: Invocation, name: string, words: readonly string[]): Invocation {
  const command = commands.find((one) => one.name === name) ?? { name, flags: {} }
  return { ...invocation, words, arguments: argumentsOf(words, command) }
}
