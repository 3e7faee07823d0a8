/** A process whose clock is wrong: the module that `--import` loads before anything else of it. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

const source = `
const skew = Number(process.env.CHAOS_CLOCK_SKEW_MS)
const RealDate = Date
globalThis.Date = new Proxy(RealDate, {
  construct: (target, args, self) =>
    Reflect.construct(target, args.length > 0 ? args : [target.now() + skew], self === globalThis.Date ? target : self),
  get: (target, key) => (key === 'now' ? () => target.now() + skew : Reflect.get(target, key)),
})
`

/** Variables under which a Node process believes it is `skewMs` later than it is. */
export function clockSkew(directory: string, skewMs: number): Record<string, string> {
  const file = join(directory, 'clock-skew.mjs')
  writeFileSync(file, source)
  return { NODE_OPTIONS: `--import ${file}`, CHAOS_CLOCK_SKEW_MS: String(skewMs) }
}
