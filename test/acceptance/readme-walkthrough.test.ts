/** The README's five-minute walk-through, run as it is written: only ports and the data directory differ. */
import { spawn, spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { defaultPorts, loadSettings } from '../../src/config/load.ts'
import { createLogger } from '../../src/platform/observe/logger.ts'
import { roleNames } from '../../src/platform/role.ts'
import { freePorts } from '../../src/server/free-ports.ts'
import { startServer } from '../../src/server/start.ts'

const hasTools = ['bash', 'curl'].every((tool) => spawnSync(tool, ['--version']).status === 0)

const quiet = () =>
  createLogger({ level: 'fatal', env: 'test', version: '', maxFieldBytes: 0, sampleDebug: 1 })

function commandsOf(readme: string): string {
  const section = readme.slice(readme.indexOf('In a second terminal'), readme.indexOf('For an SDK, four'))
  return [...section.matchAll(/```sh\n(.*?)```/gs)].map((match) => match[1]).join('\n')
}

function run(script: string): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve) => {
    const child = spawn('bash', ['-euo', 'pipefail', '-c', `trap 'kill $(jobs -p)' EXIT\n${script}`])
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk))
    child.on('close', (code) => resolve({ code, output }))
  })
}

it.skipIf(!hasTools)(
  'does what the README says',
  async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'caracal-readme-'))
    try {
      const listeners = [...roleNames, 'console'] as const
      const ports = await freePorts(listeners.length + 1)
      const settings = loadSettings(
        {
          CARACAL_DATA_DIR: dataDir,
          ...Object.fromEntries(
            listeners.map((name, at) => [`${name.toUpperCase()}_PORT`, String(ports[at])]),
          ),
        },
        { roles: roleNames },
      )
      await using _server = await startServer(settings, { logger: quiet() })
      let script = commandsOf(await readFile(new URL('../../README.md', import.meta.url), 'utf8'))
      for (const [at, role] of roleNames.entries()) {
        script = script.replaceAll(`localhost:${defaultPorts[role]}`, `localhost:${ports[at]}`)
      }
      script = script
        .replaceAll('.caracal/', `${dataDir}/`)
        .replaceAll('listen(7000)', `listen(${ports.at(-1)})`)
        .replaceAll('127.0.0.1:7000', `127.0.0.1:${ports.at(-1)}`)

      const { code, output } = await run(script)
      expect(code, output).toBe(0)
      expect(output).toContain('"x-api-key": "the-real-key"')
      expect(output).toContain('token replay detected')
      expect(output).toMatch(/"error":"access_denied","error_description":"delegation/)
      expect(output).toContain('"event_type":"gateway_resource_request"')
      expect(output).not.toMatch(/eyJ/)
    } finally {
      await rm(dataDir, { recursive: true, force: true })
    }
  },
  60_000,
)
