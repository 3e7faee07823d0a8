/** Makes the browser app: hashed files below `dist/console/assets`, compressed siblings, and the page that names them. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { build } from 'esbuild'

const here = fileURLToPath(new URL('.', import.meta.url))
const out = fileURLToPath(new URL('../../dist/console', import.meta.url))

rmSync(out, { recursive: true, force: true })
mkdirSync(out, { recursive: true })
const { outputFiles } = await build({
  entryPoints: { console: join(here, 'main.tsx'), styles: join(here, 'styles.css') },
  entryNames: 'assets/[name]-[hash]',
  outdir: out,
  bundle: true,
  minify: true,
  target: 'es2022',
  format: 'esm',
  jsx: 'automatic',
  jsxImportSource: 'preact',
  logLevel: 'warning',
  write: false,
})

const put = (path, bytes) => {
  mkdirSync(join(path, '..'), { recursive: true })
  writeFileSync(path, bytes)
  writeFileSync(`${path}.gz`, gzipSync(bytes, { level: 9 }))
  writeFileSync(`${path}.br`, brotliCompressSync(bytes))
}
for (const { path, contents } of outputFiles) put(path, contents)

const nameOf = (kind) => {
  const file = outputFiles.find(({ path }) => path.endsWith(kind))
  if (file === undefined) throw new Error(`the build made no ${kind} file`)
  return `/assets/${basename(file.path)}`
}
const page = readFileSync(join(here, 'index.html'), 'utf8')
  .replace('%SCRIPT%', nameOf('.js'))
  .replace('%STYLES%', nameOf('.css'))
put(join(out, 'index.html'), Buffer.from(page))
put(join(out, 'favicon.svg'), readFileSync(join(here, 'favicon.svg')))
