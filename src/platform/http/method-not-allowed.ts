/** A known path with the wrong verb is 405 with `Allow`, not 404 (RFC 9110 §15.5.6). */
import type { Hono } from 'hono'

function pathPattern(path: string): RegExp {
  const source = path
    .split('/')
    .map((segment) => {
      if (segment === '*') return '.*'
      const parameter = /^:[^{?]+(?:\{(.+)\})?$/.exec(segment)
      if (parameter) return parameter[1] ?? '[^/]+'
      return segment.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
    })
    .join('/')
  return new RegExp(`^${source}$`)
}

/** Answers which methods exist for a path; reads the app's routes once, on the first question. */
export function createAllowedMethods(app: Hono): (path: string) => readonly string[] {
  let known: readonly { readonly method: string; readonly pattern: RegExp }[] | undefined
  return (path) => {
    known ??= app.routes
      .filter((route) => route.method !== 'ALL')
      .map((route) => ({ method: route.method, pattern: pathPattern(route.path) }))
    const methods = new Set(known.filter((route) => route.pattern.test(path)).map((route) => route.method))
    if (methods.has('GET')) methods.add('HEAD')
    return [...methods].sort()
  }
}
