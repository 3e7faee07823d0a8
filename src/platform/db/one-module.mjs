/** Part of the build: makes `dist/platform/db/drizzle.js` one module that needs nothing but the driver. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const at = (path) => fileURLToPath(new URL(`../../../${path}`, import.meta.url))
const { name, version, license } = JSON.parse(
  readFileSync(at('node_modules/drizzle-orm/package.json'), 'utf8'),
)
const file = at('dist/platform/db/drizzle.js')
await build({
  entryPoints: [file],
  outfile: file,
  allowOverwrite: true,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  external: ['postgres'],
  banner: { js: `/*! Contains ${name} ${version}, licensed under ${license}. */` },
  sourcemap: true,
  sourcesContent: false,
  logLevel: 'warning',
})
