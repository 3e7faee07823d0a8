/** `caracal down`: ends what `caracal up` started, and waits for its end. */
import { setTimeout as sleep } from 'node:timers/promises'
import { loadSettings } from '../../config/load.ts'
import type { Invocation } from '../command.ts'
import { whileTelling } from '../progress.ts'
import { hasDependencies, stopDependencies } from './containers.ts'
import { backgroundFiles, isAlive, removePid, runningPid } from './process.ts'

const slackMs = 2_000

export async function down(invocation: Invocation): Promise<number> {
  const { arguments: given, env, out } = invocation
  const files = backgroundFiles(env)
  const volumes = given.switches.has('v') || given.switches.has('volumes')
  if (volumes && !hasDependencies(files))
    out.status(
      'info',
      '-v removes the volumes of caracal up --with-deps, and there are none; the embedded store goes with caracal purge volumes',
    )
  if ((await stopServer(invocation)) !== 0) return 1
  return (await stopDependencies(files, env, out, { volumes })) ? 0 : 1
}

/** Ends the server and leaves its containers alone. */
export async function stopServer({ env, cwd, out }: Invocation): Promise<number> {
  const files = backgroundFiles(env)
  const pid = runningPid(files)
  if (pid === null) {
    removePid(files)
    out.status('info', 'nothing is running')
    return 0
  }
  const { SHUTDOWN_GRACE_MS: grace } = loadSettings(env, { roles: [], generateSecrets: false, cwd })
  process.kill(pid, 'SIGTERM')
  const text = (): string => `the server (pid ${pid}) finishes what it has begun`
  if (!(await whileTelling(out, text, () => isGoneWithin(pid, grace + slackMs)))) {
    out.status('fail', `the server (pid ${pid}) did not end within ${grace} ms (SHUTDOWN_GRACE_MS)`)
    return 1
  }
  removePid(files)
  out.status('ok', 'stopped')
  return 0
}

async function isGoneWithin(pid: number, patienceMs: number): Promise<boolean> {
  const deadline = performance.now() + patienceMs
  while (isAlive(pid)) {
    if (performance.now() > deadline) return false
    await sleep(50)
  }
  return true
}
