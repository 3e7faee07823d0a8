/** Drizzle as the built server loads it: without the hundred modules of its package. */
import { readFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { expect, it } from 'vitest'

it('is one module that needs nothing but the driver', () => {
  const built = readFileSync(new URL('../../../dist/platform/db/drizzle.js', import.meta.url), 'utf8')
  const needed = [...built.matchAll(/^(?:import|export)\b[^'"]*(?:from )?["']([^"']+)["'];?$/gm)].map(
    ([, from]) => from ?? '',
  )
  expect(needed.filter((from) => !isBuiltin(from) && from !== 'postgres')).toEqual([])
  expect(built).toContain('PgDialect')
  expect(built).toMatch(/^\/\*! Contains drizzle-orm \d/)
})
