/** `caracal upgrade`: this release takes over from the one in the background (sdk-cli-console §12.2). */
import type { Invocation } from '../command.ts'
import { stopServer } from './down.ts'
import { backgroundFiles, runningPid } from './process.ts'
import { migrate, serverEnvironment, up } from './up.ts'

export async function upgrade(invocation: Invocation): Promise<number> {
  const { arguments: given, env, cwd, out } = invocation
  if (given.switches.has('no-pull'))
    out.status('info', '--no-pull: nothing is pulled here, the release is the one that is installed')
  const files = backgroundFiles(env)
  if (runningPid(files) !== null) {
    const environment = await serverEnvironment(files, invocation)
    if (environment === null) return 1
    // Before the old server ends: when the schema cannot follow, it simply goes on.
    if ((await migrate(environment, cwd)) !== 0) {
      out.status('fail', 'the schema could not be brought to this release; the running server goes on')
      return 1
    }
    if ((await stopServer(invocation)) !== 0) return 1
  }
  return up(invocation)
}
