/** The README's five-minute walk-through, run as it is written: only ports and the data directory differ. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { loadSettings } from '../../src/config/load.ts'
import { createLogger } from '../../src/platform/observe/logger.ts'
import { roleNames } from '../../src/platform/role.ts'
import { freePorts } from '../../src/server/free-ports.ts'
import { startServer } from '../../src/server/start.ts'
import { hasReadmeTools, runScript, walkThrough } from '../fixtures/readme.ts'

const quiet = () =>
  createLogger({ level: 'fatal', env: 'test', version: '', maxFieldBytes: 0, sampleDebug: 1 })

it.skipIf(!hasReadmeTools)(
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
      const script = walkThrough(ports, ports.at(-1)).replaceAll('.caracal/', `${dataDir}/`)
      const { code, output } = await runScript(script)
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
