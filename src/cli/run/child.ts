/** The launched program: its environment, its signals, its exit (sdk-cli-console §12.6). */
import { type ChildProcess, spawn } from 'node:child_process'
import { constants } from 'node:os'
import type { Environment } from '../../sdk/config/directory.ts'
import type { Output } from '../output.ts'

const passed = new Set(
  (
    'PATH HOME USER LOGNAME SHELL TMPDIR TEMP TMP LANG LC_ALL LC_CTYPE TERM COLORTERM NO_COLOR FORCE_COLOR CI ' +
    'NODE_ENV CARACAL_ENV XDG_RUNTIME_DIR XDG_CONFIG_HOME XDG_CACHE_HOME XDG_DATA_HOME USERPROFILE HOMEDRIVE ' +
    'HOMEPATH APPDATA LOCALAPPDATA PROGRAMDATA PROGRAMFILES PROGRAMFILES(X86) SYSTEMROOT WINDIR COMSPEC'
  ).split(' '),
)

/** What of our own environment a launched program gets. */
export function passedEnvironment(env: Environment): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).filter((entry): entry is [string, string] => {
      const name = entry[0].toUpperCase()
      return entry[1] !== undefined && (passed.has(name) || name.startsWith('LC_'))
    }),
  )
}

const forwarded = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const
const counted: ReadonlySet<string> = new Set(['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGKILL', 'SIGTERM'])

/** Runs `argv` without a shell; answers its exit code, 128+N for a signal, 127 when it cannot start. */
export function runChild(
  argv: readonly string[],
  environment: Readonly<Record<string, string>>,
  out: Output,
): Promise<number> {
  const [command = '', ...args] = argv
  return new Promise((resolve) => {
    let child: ChildProcess | undefined
    // Before the child exists: a signal while it is being started must not end us and leave it behind.
    const forward = (signal: NodeJS.Signals): void => {
      child?.kill(signal)
    }
    for (const signal of forwarded) process.on(signal, forward)
    const finish = (code: number) => {
      for (const signal of forwarded) process.off(signal, forward)
      resolve(code)
    }
    const fail = (error: NodeJS.ErrnoException) => {
      out.errorLine(`failed to start ${command}: ${error.message} (${error.code ?? 'UNKNOWN'})`)
      finish(127)
    }
    try {
      child = spawn(command, args, { env: environment, stdio: 'inherit', shell: false, windowsHide: true })
    } catch (error) {
      // Only some failures are events; the others Node throws.
      return fail(error as NodeJS.ErrnoException)
    }
    child.once('error', fail)
    child.once('exit', (code, signal) => finish(code ?? 128 + signalNumber(signal)))
  })
}

function signalNumber(signal: NodeJS.Signals | null): number {
  return signal !== null && counted.has(signal) ? constants.signals[signal] : constants.signals.SIGTERM
}
