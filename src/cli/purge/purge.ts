/** `caracal purge`: removes chosen state of the server in the background (sdk-cli-console §12.8). */
import { existsSync, rmSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { findPostmaster, liveOwner } from '../../platform/embedded/postmaster.ts'
import { UsageError } from '../arguments.ts'
import { down } from '../background/down.ts'
import { backgroundFiles, runningPid } from '../background/process.ts'
import type { Invocation } from '../command.ts'
import { embeddedDataDirectory } from '../managed-secrets.ts'
import { whileTelling } from '../progress.ts'
import { isThere, type Plan, type TargetName, targets } from './targets.ts'

const names = Object.keys(targets) as TargetName[]
const elsewhere: ReadonlySet<string> = new Set(['cache', 'images', 'binary'])

export async function purge(invocation: Invocation): Promise<number> {
  const { arguments: parsed, env, cwd, out } = invocation
  const { switches } = parsed
  const asked =
    parsed.positional.length > 0 || switches.has('safe') ? parsed.positional : await choose(invocation)
  const chosen = expand([...asked, ...(switches.has('safe') ? ['safe'] : [])])
  for (const name of chosen.skipped) out.status('info', `${name}: there is none here, skipped`)
  const files = backgroundFiles(env)
  const dataDir = embeddedDataDirectory(env, cwd)
  const plans = chosen.targets.map((name) => ({
    name,
    target: targets[name],
    plan: targets[name].plan({ files, dataDir, env, cwd }) as Plan,
  }))
  if (plans.length === 0) return 0
  const stops = plans.some(({ plan }) => plan.stops) && runningPid(files) !== null
  const intended = [
    ...(stops ? ['end the server in the background'] : []),
    ...plans.flatMap(({ plan }) => intentions(plan)),
  ]
  if (intended.length === 0) {
    out.status('info', 'there is nothing to remove')
    return 0
  }
  for (const one of intended) out.status('step', one)
  if (switches.has('dry-run')) return 0
  const destructive = plans.some(({ target }) => target.destructive)
  if (!switches.has('yes') && !switches.has('y') && !(await confirmed(destructive))) {
    out.status('fail', destructive ? 'not done: this needs the answer yes (or --yes)' : 'not done')
    return 1
  }
  if (stops && (await down(invocation)) !== 0) return 1
  for (const { plan } of plans) if (plan.idle !== undefined) assertUnused(plan.idle)
  // What may fail goes first, while the secrets that it may need are there: then it can be tried again.
  for (const { plan } of plans)
    for (const step of plan.steps ?? [])
      out.status(
        'ok',
        await whileTelling(
          out,
          () => step.says,
          () => step.run(invocation),
        ),
      )
  for (const { plan } of plans) {
    for (const path of plan.truncates ?? []) if (existsSync(path)) truncateSync(path)
    for (const path of plan.removes ?? []) rmSync(path, { recursive: true, force: true })
  }
  out.status('ok', 'done')
  return 0
}

const intentions = ({ truncates = [], removes = [], steps = [] }: Plan): string[] => [
  ...truncates.filter((path) => existsSync(path)).map((path) => `empty ${path}`),
  ...removes.filter(isThere).map((path) => `remove ${path}`),
  ...steps.map(({ says }) => says),
]

/** A server that is not the one in the background, such as `caracal serve` on a terminal, is ended by who started it. */
function assertUnused(dataDir: string): void {
  const running = findPostmaster(join(dataDir, 'pg'))
  const owner = running === null ? null : liveOwner(running)
  if (owner !== null)
    throw new Error(`the embedded store in ${dataDir} is in use by process ${owner}: end that server first`)
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
  // They are rows of the store.
  if (wanted.has('volumes')) wanted.delete('web')
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
