/** sdk-cli-console §16, checks 41 and 42: what a project gets that installs the package. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { afterAll, beforeAll, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  exports: Record<string, unknown>
}
const subpaths = Object.keys(manifest.exports).filter((path) => path !== './package.json')
const allowed: Readonly<Record<string, readonly string[]>> = {
  './sdk': [],
  './sdk/advanced': [],
  './verify': ['jose'],
  './verify/redis': [],
  './express': ['jose'],
  './hono': ['jose'],
  './mcp': ['jose'],
  './admin': [],
}

let project: string
beforeAll(() => {
  project = mkdtempSync(join(tmpdir(), 'caracal-package-'))
  const list = execFileSync('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', project], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const [{ filename }] = JSON.parse(list) as [{ filename: string }]
  const target = join(project, 'node_modules', 'caracal')
  mkdirSync(target, { recursive: true })
  execFileSync('tar', ['xzf', join(project, filename), '--strip-components=1', '-C', target])
  // Of all dependencies a client may only find jose.
  symlinkSync(join(root, 'node_modules', 'jose'), join(project, 'node_modules', 'jose'))
  writeFileSync(join(project, 'package.json'), '{"type":"module"}')
})
afterAll(() => rmSync(project, { recursive: true, force: true }))

const bundle = (subpath: string, minify = false) =>
  build({
    stdin: { contents: `export * from 'caracal/${subpath.slice(2)}'`, resolveDir: project },
    bundle: true,
    format: 'esm',
    platform: 'node',
    packages: 'bundle',
    external: ['jose', 'hono', 'express', 'redis', 'smol-toml'],
    minify,
    metafile: true,
    write: false,
  })

it.each(subpaths)('41: %s holds no server code and needs nothing it does not say', async (subpath) => {
  const { metafile } = await bundle(subpath)
  const inputs = Object.keys(metafile.inputs).filter((path) => path !== '<stdin>')
  const rooms = new Set(inputs.map((path) => /caracal\/dist\/([^/]+)\//.exec(path)?.[1] ?? path))
  for (const room of rooms) expect(['sdk', 'verify', 'adapters', 'admin']).toContain(room)
  const imported = Object.values(metafile.outputs)
    .flatMap(({ imports }) => imports)
    .map(({ path }) => path)
    .filter((path) => !path.startsWith('node:'))
  expect([...new Set(imported)]).toEqual(allowed[subpath])
})

it('41: the SDK is at most 60 kB minified', async () => {
  const { outputFiles } = await bundle('./sdk', true)
  expect(outputFiles[0]?.contents.byteLength).toBeLessThan(60_000)
})

it('41: every subpath loads where only jose is installed', () => {
  const script = subpaths.map((path) => `await import('caracal/${path.slice(2)}')`).join('\n')
  const names = `${script}\nconst { Caracal } = await import('caracal/sdk')\nconsole.log(typeof Caracal.fromEnv)`
  const out = execFileSync(process.execPath, ['--input-type=module', '-e', names], {
    cwd: project,
    encoding: 'utf8',
  })
  expect(out.trim()).toBe('function')
})

it('42: every subpath has types under nodenext', () => {
  symlinkSync(join(root, 'node_modules', 'hono'), join(project, 'node_modules', 'hono'))
  writeFileSync(
    join(project, 'use.ts'),
    `import { Caracal, Authority, type CaracalEvent } from 'caracal/sdk'
import { OAuthClient } from 'caracal/sdk/advanced'
import { createMandateVerifier, InMemoryRevocationStore } from 'caracal/verify'
import { RedisRevocationStore } from 'caracal/verify/redis'
import { caracalAuth as forExpress } from 'caracal/express'
import { caracalAuth as forHono } from 'caracal/hono'
import { caracalTokenVerifier } from 'caracal/mcp'
import { AdminClient } from 'caracal/admin'
const verifier = createMandateVerifier({ issuer: 'https://sts', audience: 'resource://x', zoneId: 'z', revocations: new InMemoryRevocationStore() })
export const all = [OAuthClient, RedisRevocationStore, forExpress({ verifier }), forHono({ verifier }), caracalTokenVerifier({ verifier })]
export const status: Promise<number> = new Caracal().session((context) => context.hop, { authority: Authority.narrow(['a'], { ttlSeconds: 1 }) })
export const zones: Promise<readonly { readonly id: string }[]> = new AdminClient({ apiUrl: '', adminToken: '' }).zones.list()
export const listen = (event: CaracalEvent) => event.type
// @ts-expect-error a client secret is text
Caracal.fromClientSecret({ stsUrl: '', coordinatorUrl: '', clientSecret: 1 })
`,
  )
  const options = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2023', '--types', 'node']
  symlinkSync(join(root, 'node_modules', '@types'), join(project, 'node_modules', '@types'))
  symlinkSync(join(root, 'node_modules', 'undici-types'), join(project, 'node_modules', 'undici-types'))
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  execFileSync(process.execPath, [tsc, ...options, 'use.ts'], { cwd: project, stdio: 'pipe' })
})
