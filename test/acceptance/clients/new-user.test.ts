/** A person who installs the package in an empty directory and follows the README there. */
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { roleNames } from '../../../src/platform/role.ts'
import { freePorts } from '../../../src/server/free-ports.ts'
import { workingDirectory } from '../../cli/process.ts'
import { eventually } from '../../fixtures/eventually.ts'
import { applicationSnippet, hasReadmeTools, runScript, walkThrough } from '../../fixtures/readme.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))

it.skipIf(!hasReadmeTools)(
  'npm install, npx caracal serve, the walk-through, and a program with the SDK',
  async (context) => {
    const cwd = workingDirectory()
    const packed = execFileSync('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', cwd], {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    const [{ filename }] = JSON.parse(packed) as [{ filename: string }]
    // As where install scripts are disabled; nothing is downloaded in a test.
    const flags = ['--offline', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']
    const install = spawnSync('npm', ['install', ...flags, `./${filename}`], { cwd, encoding: 'utf8' })
    const missing = /ENOTCACHED|cache mode is 'only-if-cached'/.test(install.stderr)
    if (missing) context.skip('npm cannot install offline here: a dependency is not in its cache')
    expect(install.status, install.stderr).toBe(0)

    const listeners = [...roleNames, 'console']
    const ports = await freePorts(listeners.length + 1)
    const port = (name: string) => ports[listeners.indexOf(name)]
    const serve = spawn('npx', ['caracal', 'serve'], {
      cwd,
      detached: true,
      env: {
        PATH: process.env.PATH,
        HOME: cwd,
        ...Object.fromEntries(listeners.map((name) => [`${name.toUpperCase()}_PORT`, String(port(name))])),
      },
    })
    let log = ''
    for (const stream of [serve.stdout, serve.stderr])
      stream.on('data', (chunk) => {
        log += chunk
      })
    const ended = new Promise((resolve) => serve.once('close', resolve))
    try {
      await eventually(
        () => {
          if (serve.exitCode !== null) throw new Error(log)
          return log.includes('"msg":"ready"') ? true : null
        },
        { timeoutMs: 45_000 },
      )
      expect(statSync(join(cwd, '.caracal', 'secrets', 'secretStoreKek')).mode & 0o777).toBe(0o600)

      writeFileSync(join(cwd, 'agent.mjs'), `${applicationSnippet()}\nconsole.log('answer', answer.status)\n`)
      const urls = ['STS', 'COORDINATOR', 'GATEWAY']
        .map((name) => `CARACAL_${name}_URL=http://localhost:${port(name.toLowerCase())}`)
        .join(' ')
      const program = `${urls} CARACAL_ZONE_ID=$ZONE CARACAL_APPLICATION_ID=$APP_ID \
        CARACAL_APP_CLIENT_SECRET=$SECRET CARACAL_APP_RESOURCES=resource://weather node agent.mjs`
      const { code, output } = await runScript(`${walkThrough(ports, ports.at(-1))}\n${program}`, { cwd })
      expect(code, output).toBe(0)
      expect(output).toContain('"x-api-key": "the-real-key"')
      expect(output).toContain('token replay detected')
      expect(output).toContain('answer 200')
    } finally {
      if (serve.pid !== undefined && serve.exitCode === null) process.kill(-serve.pid, 'SIGTERM')
      await ended
    }
    // What the README speaks of is there to be read.
    for (const file of ['README.md', 'docs/audit-receipts.md', 'examples/openai-agent.js'])
      expect(readFileSync(join(cwd, 'node_modules', 'caracal', file), 'utf8')).not.toBe('')
  },
  120_000,
)
