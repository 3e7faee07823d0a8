/** `caracal purge`: removes chosen state of the server in the background (sdk-cli-console §12.8). */
import { existsSync, lstatSync, readlinkSync, rmSync, truncateSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { secretsDirectory } from '../config/home.ts'
import type { Environment } from '../config/load.ts'
import { generatedSecrets } from '../config/secrets.ts'
import { configDirectory } from '../sdk/config/directory.ts'
import { loginPath } from './api/login-file.ts'
import { UsageError } from './arguments.ts'
import { down } from './background/down.ts'
import { type BackgroundFiles, backgroundFiles, runningPid } from './background/process.ts'
import type { Invocation } from './command.ts'

/** What a target takes away; `refusal` when it cannot. */
interface Plan {
  readonly stops?: true
  readonly truncates?: readonly string[]
  readonly removes?: readonly string[]
  readonly refusal?: string
}

interface Target {
  readonly summary: string
  /** Not to be got back. */
  readonly destructive: boolean
  plan(files: BackgroundFiles, env: Environment): Plan
}

const targets = {
  stack: {
    summary: 'end the server in the background',
    destructive: false,
    plan: () => ({ stops: true }),
  },
  logs: {
    summary: 'empty its log',
    destructive: false,
    plan: (files) => ({ truncates: [files.log] }),
  },
  config: {
    summary: 'SDK profile, credentials of guided setup, login',
    destructive: false,
    plan: (_files, env) => {
      const directory = configDirectory(env)
      return { removes: [join(directory, 'caracal.toml'), join(directory, 'runtime'), loginPath(env)] }
    },
  },
  runtime: {
    summary: 'process id and environment file',
    destructive: false,
    plan: (files) => ({ stops: true, removes: [files.pid, join(files.home, 'caracal.env')] }),
  },
  volumes: {
    summary: 'the embedded store with everything in it',
    destructive: true,
    plan: (files, env) =>
      env.DATABASE_URL
        ? { refusal: 'DATABASE_URL names a database of your own: drop it with its own tools' }
        : { stops: true, removes: clusterOf(files) },
  },
  secrets: {
    summary: 'generated secrets; what they sealed becomes unreadable',
    destructive: true,
    plan: (files, env) => {
      const directory = secretsDirectory(env, { dev: true, embedded: !env.DATABASE_URL, dataDir: files.data })
      // By name: the directory may be one that holds other things too.
      return {
        stops: true,
        removes: Object.values(generatedSecrets).map(({ file }) => join(directory, file)),
      }
    },
  },
} as const satisfies Readonly<Record<string, Target>>

type TargetName = keyof typeof targets
const names = Object.keys(targets) as TargetName[]
const elsewhere: ReadonlySet<string> = new Set(['cache', 'images', 'binary', 'web'])

export async function purge(invocation: Invocation): Promise<number> {
  const { arguments: parsed, env, out } = invocation
  const { switches } = parsed
  const asked =
    parsed.positional.length > 0 || switches.has('safe') ? parsed.positional : await choose(invocation)
  const chosen = expand([...asked, ...(switches.has('safe') ? ['safe'] : [])])
  for (const name of chosen.skipped) out.status('info', `${name}: there is none here, skipped`)
  const files = backgroundFiles(env)
  const plans = chosen.targets.map((name) => ({
    name,
    target: targets[name],
    plan: targets[name].plan(files, env) as Plan,
  }))
  const refused = plans.find(({ plan }) => plan.refusal !== undefined)
  if (refused !== undefined) {
    out.status('fail', `${refused.name}: ${refused.plan.refusal}`)
    return 1
  }
  if (plans.length === 0) return 0
  const stops = plans.some(({ plan }) => plan.stops) && runningPid(files) !== null
  if (stops) out.status('step', 'end the server in the background')
  for (const { plan } of plans) {
    for (const path of plan.truncates ?? []) if (existsSync(path)) out.status('step', `empty ${path}`)
    for (const path of plan.removes ?? []) if (isThere(path)) out.status('step', `remove ${path}`)
  }
  if (switches.has('dry-run')) return 0
  const destructive = plans.some(({ target }) => target.destructive)
  if (!switches.has('yes') && !switches.has('y') && !(await confirmed(destructive))) {
    out.status('fail', destructive ? 'not done: this needs the answer yes (or --yes)' : 'not done')
    return 1
  }
  if (stops && (await down(invocation)) !== 0) return 1
  for (const { plan } of plans) {
    for (const path of plan.truncates ?? []) if (existsSync(path)) truncateSync(path)
    for (const path of plan.removes ?? []) rmSync(path, { recursive: true, force: true })
  }
  out.status('ok', 'done')
  return 0
}

/** The cluster; when the store had to be kept elsewhere, the directory that was made for it there too. */
function clusterOf({ data }: BackgroundFiles): string[] {
  const entry = join(data, 'pg')
  if (lstatSync(entry, { throwIfNoEntry: false })?.isSymbolicLink() !== true) return [entry]
  const cluster = readlinkSync(entry)
  const made = dirname(cluster)
  return basename(made).startsWith('embedded-') ? [made, entry] : [cluster, entry]
}

function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined
}

function expand(asked: readonly string[]): {
  readonly targets: readonly TargetName[]
  readonly skipped: readonly string[]
} {
  const wanted = new Set<string>()
  for (const name of asked) {
    if (name === 'all') for (const one of names) wanted.add(one)
    else if (name === 'safe') for (const one of names) if (!targets[one].destructive) wanted.add(one)
    if (name === 'all' || name === 'safe') continue
    if (!(names as string[]).includes(name) && !elsewhere.has(name))
      throw new UsageError(`unknown target ${name}`)
    wanted.add(name)
  }
  return {
    targets: names.filter((name) => wanted.has(name)),
    skipped: [...wanted].filter((name) => elsewhere.has(name)),
  }
}

async function choose({ out }: Invocation): Promise<string[]> {
  if (!process.stdin.isTTY) throw new UsageError('name what to purge: all, safe, or some of the targets')
  for (const [at, name] of names.entries())
    out.line(
      `${at + 1}) ${name.padEnd(9)} ${targets[name].summary}${targets[name].destructive ? ' (destructive)' : ''}`,
    )
  const answer = await ask('Which (numbers or names, comma list; all, safe, q)? ')
  if (answer === '' || answer === 'q') return []
  return answer.split(',').map((part) => names[Number(part.trim()) - 1] ?? part.trim())
}

async function confirmed(destructive: boolean): Promise<boolean> {
  const answer = await ask(destructive ? 'This cannot be undone. Type yes: ' : 'Go on [y/N]? ')
  return destructive ? answer === 'yes' : /^y(es)?$/i.test(answer)
}

async function ask(question: string): Promise<string> {
  const lines = createInterface({ input: process.stdin, output: process.stderr })
  const over = new AbortController()
  lines.once('close', () => over.abort())
  try {
    return (await lines.question(question, { signal: over.signal })).trim()
  } catch {
    return ''
  } finally {
    lines.close()
  }
}
