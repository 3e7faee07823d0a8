/** `caracal serve`: the server as a process, with its signals and exit codes (storage-and-operations §11). */
import { availableParallelism, constants } from 'node:os'
import { join } from 'node:path'
import type { Settings } from '../config/env.ts'
import {
  ConfigError,
  type Environment,
  loadSettings,
  parseRoles,
  secretsDirectoryOf,
  UnknownRole,
} from '../config/load.ts'
import type { RoleName } from '../config/roles.ts'
import { generatedSecrets } from '../config/secrets.ts'
import { buildVersion } from '../config/version.ts'
import { createLogger, type ProcessLogger } from '../platform/observe/logger.ts'
import { loggerOf, serviceOf, startServer } from '../server/start.ts'
import { type RunningWorkers, startWorkers } from '../server/workers/primary.ts'
import { UsageError } from './arguments.ts'
import type { Invocation } from './command.ts'

/** Runs until a signal ends it; 0 after a clean stop. */
export async function serve(invocation: Invocation): Promise<number> {
  const { env, roles } = withFlags(invocation)
  let settings: Settings
  let logger: ProcessLogger
  const warnings: string[] = []
  try {
    settings = loadSettings(env, { roles, cwd: invocation.cwd, warn: (message) => warnings.push(message) })
    logger = loggerOf(settings)
  } catch (error) {
    return failStart(error, plainLogger(env, roles), invocation)
  }
  for (const warning of warnings) logger.log.warn(warning)
  return runProcess(settings, logger, { ...invocation, env })
}

async function runProcess(
  settings: Settings,
  logger: ProcessLogger,
  invocation: Invocation,
): Promise<number> {
  const { log } = logger
  const starting = new AbortController()
  let server: RunningWorkers | null = null
  let asked: ((reason: Ending) => void) | undefined
  const ending = new Promise<Ending>((resolve) => {
    asked = resolve
  })
  const leave = (code: number): void => {
    server?.abandon()
    void logger.close().then(() => process.exit(code))
  }
  let signals = 0
  const onSignal = (signal: NodeJS.Signals): void => {
    signals += 1
    if (signals > 1) {
      leave(128 + (constants.signals[signal] ?? 15))
      return
    }
    log.info({ signal }, 'stopping')
    starting.abort(new Error(`stopped by ${signal}`))
    asked?.({ kind: 'signal' })
  }
  const onBug = (error: unknown): void => {
    log.fatal({ err: error }, 'uncaught error')
    leave(1)
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
  process.on('SIGHUP', onSignal)
  process.on('uncaughtException', onBug)
  process.on('unhandledRejection', onBug)

  try {
    const { CARACAL_WORKERS: wanted } = settings
    const count = wanted === 'auto' ? availableParallelism() : wanted
    const options = { logger, signal: starting.signal }
    server =
      count === 1
        ? await startServer(settings, options)
        : await startWorkers(settings, { ...options, count, env: invocation.env, cwd: invocation.cwd })
  } catch (error) {
    if (starting.signal.aborted) return finish(logger, 0)
    return failStart(error, logger, invocation)
  }
  if (process.stdout.isTTY) greet(server, settings, invocation)
  // To whoever started this process with a channel and may be gone again.
  process.send?.('ready', () => undefined)
  void server.failed.then((error) => asked?.({ kind: 'failure', error }))
  const end = await ending
  if (end.kind === 'failure') log.fatal({ err: end.error }, 'the server cannot go on')
  const failures = await server.stop()
  if (failures.length > 0) server.abandon()
  return finish(logger, failures.length === 0 && end.kind === 'signal' ? 0 : 1)
}

/** For a person at a terminal, between the lines for machines. */
function greet({ listeners }: RunningWorkers, settings: Settings, { env, out }: Invocation): void {
  for (const [name, listener] of Object.entries(listeners))
    out.status('ok', `${name.padEnd(12)} ${listener.url}`)
  if (listeners.control === undefined || settings.CARACAL_MODE !== 'dev' || env.CARACAL_ADMIN_TOKEN) return
  const directory = secretsDirectoryOf(settings, env)
  out.status('info', `administrator token: ${join(directory, generatedSecrets.CARACAL_ADMIN_TOKEN.file)}`)
}

type Ending = { readonly kind: 'signal' } | { readonly kind: 'failure'; readonly error: Error }

async function finish(logger: ProcessLogger, code: number): Promise<number> {
  await logger.close()
  return code
}

async function failStart(error: unknown, logger: ProcessLogger, { out }: Invocation): Promise<number> {
  const message = error instanceof Error ? error.message : String(error)
  const expected = error instanceof Error && error.name !== 'Error' && error.name !== 'TypeError'
  logger.log.error(expected ? {} : { err: error }, `startup failed: ${message}`)
  await logger.close()
  if (error instanceof ConfigError && error.problems.length > 1)
    for (const problem of error.problems) out.status('fail', problem)
  else out.status('fail', message)
  return 1
}

function plainLogger(env: Environment, roles: readonly RoleName[]): ProcessLogger {
  return createLogger({
    level: 'info',
    env: env.CARACAL_ENV ?? 'development',
    version: buildVersion(),
    service: serviceOf(roles),
    maxFieldBytes: 8192,
    sampleDebug: 1,
  })
}

/** Flags are the loudest form of their variables. */
function withFlags({ arguments: { values }, env }: Invocation): {
  readonly env: Environment
  readonly roles: readonly RoleName[]
} {
  const merged: Record<string, string | undefined> = { ...env }
  for (const [flag, value] of Object.entries(values)) {
    if (flag === 'role') merged.CARACAL_ROLE = value
    else if (flag === 'single-port') merged.CARACAL_SINGLE_PORT = value
    else if (flag === 'workers') merged.CARACAL_WORKERS = value
    else if (flag !== 'port') merged[`${flag.slice('port-'.length).toUpperCase()}_PORT`] = value
  }
  const roles = rolesFrom(merged.CARACAL_ROLE || 'all')
  const own = Object.keys(values).find((flag) => flag.startsWith('port'))
  if (values['single-port'] !== undefined && own !== undefined)
    throw new UsageError(`--single-port is the port of every role: without --${own}`)
  if (values.port !== undefined) {
    const [only, ...others] = roles
    if (only === undefined || others.length > 0)
      throw new UsageError('--port needs exactly one role; use --port-<role>')
    merged[`${only.toUpperCase()}_PORT`] = values.port
  }
  return { env: merged, roles }
}

function rolesFrom(text: string): RoleName[] {
  try {
    return parseRoles(text)
  } catch (error) {
    throw error instanceof UnknownRole ? new UsageError(error.message) : error
  }
}
