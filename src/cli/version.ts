import type { Environment } from '../config/load.ts'
import { buildVersion } from '../config/version.ts'
import type { Invocation } from './command.ts'

/** Prints what this binary is; reads no configuration beyond the mode. */
export async function version({ arguments: { switches }, env, out }: Invocation): Promise<number> {
  const facts = {
    binary: 'caracal',
    version: buildVersion(),
    mode: modeOf(env),
    sha: env.CARACAL_BUILD_SHA || 'unknown',
  }
  if (switches.has('json')) out.line(JSON.stringify(facts))
  else
    out.line(
      ['Caracal', ...Object.entries(facts).map(([label, value]) => `  ${label.padEnd(8)} ${value}`)].join(
        '\n',
      ),
    )
  return 0
}

function modeOf(env: Environment): string {
  const mode = env.CARACAL_MODE?.toLowerCase()
  if (mode === 'dev' || mode === 'rc' || mode === 'stable') return mode
  return env.DATABASE_URL || env.DATABASE_URL_FILE ? 'stable' : 'dev'
}
