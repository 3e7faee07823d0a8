import type { IncomingMessage, ServerResponse } from 'node:http'
import { Hono } from 'hono'
import { describe, expect, it } from 'vitest'
import type { Role, RoleName } from '../../src/platform/role.ts'
import { mergeMetrics } from '../../src/server/merge-metrics.ts'
import { claimant, singlePort, withoutPrefix } from '../../src/server/single-port.ts'

describe('whose a path is', () => {
  it.each([
    ['/gateway', '/'],
    ['/gateway/', '/'],
    ['/gateway?x=1', '/?x=1'],
    ['/gateway/v1/zones?x=/gateway', '/v1/zones?x=/gateway'],
    ['/gateway/gateway/x', '/gateway/x'],
    ['/gateway//x', '//x'],
    ['/gatewayx', null],
    ['/v1/gateway/x', null],
    ['//gateway/x', null],
    ['http://host/gateway/x', null],
  ])('%s below the prefix is %s', (target, rest) => {
    expect(withoutPrefix(target)).toBe(rest)
  })

  it.each([
    ['/oauth/2/token', 'sts'],
    ['/.well-known/jwks.json', 'sts'],
    ['/approvals/x', 'sts'],
    ['/v1/run/manifest', 'sts'],
    ['/v1/runs', 'control'],
    ['/internal/zones/z/signing-key/rotate', 'sts'],
    ['/internal/revocations/reload', 'gateway'],
    ['/zones/z/agents', 'coordinator'],
    ['/zonesx', 'control'],
    ['/v1/verify', 'coordinator'],
    ['/v1/verify/x', 'control'],
    ['/v1/zones', 'control'],
    ['/api/audit/search', 'audit'],
    ['/api/console/v1/zones', 'control'],
    ['/console/policies', 'control'],
    ['/', 'control'],
  ])('%s is that of %s', (path, role) => {
    expect(claimant(path)).toBe(role)
  })
})

describe('who sees a request before the apps do', () => {
  const limits = { headerBytes: 1, headersTimeoutMs: 1, requestTimeoutMs: 1, keepAliveTimeoutMs: 1 }
  const asked: string[] = []
  const role = (name: RoleName, takes: boolean): Role => ({
    name,
    app: new Hono(),
    limits,
    jobs: [],
    prepare: async () => undefined,
    drain: () => undefined,
    intercept: ({ url }) => {
      asked.push(`${name} ${url}`)
      return takes
    },
    [Symbol.asyncDispose]: async () => undefined,
  })
  const intercepted = (roles: readonly Role[], url: string, headers = {}) => {
    asked.length = 0
    const { intercept } = singlePort(roles, ({ app }) => app)
    const taken = intercept?.({ url, headers } as IncomingMessage, {} as ServerResponse)
    return [taken, ...asked]
  }
  const everyone = [role('sts', true), role('gateway', true), role('audit', false)]
  const named = { 'x-caracal-resource': 'resource://x' }

  it.each([
    ['/oauth/2/token', {}, [true, 'sts /oauth/2/token']],
    ['///oauth/2/token', {}, [true, 'sts /oauth/2/token']],
    ['//oauth/2/token', named, [true, 'gateway //oauth/2/token']],
    ['//gateway//x', {}, [true, 'gateway //x']],
    ['/oauth/2/token', named, [true, 'gateway /oauth/2/token']],
    ['/gateway/oauth/2/token', {}, [true, 'gateway /oauth/2/token']],
    ['/internal/revocations/reload', {}, [false]],
    ['/api/audit/search?x', {}, [false, 'audit /api/audit/search?x']],
    ['/v1/zones', {}, [false]],
  ])('%s', (url, headers, expected) => {
    expect(intercepted(everyone, url, headers)).toEqual(expected)
  })

  it('is nobody where the role does not run', () => {
    expect(intercepted([role('audit', true)], '/oauth/2/token')).toEqual([false])
    expect(intercepted([role('sts', true)], '/oauth/2/token', named)).toEqual([false])
  })
})

it('metrics of several roles are one exposition without a series twice', () => {
  const text = (value: number) =>
    `# HELP up Whether.\n# TYPE up gauge\nup ${value}\n# HELP seconds How long.\n# TYPE seconds histogram\nseconds_bucket{le="1"} ${value}\n`
  expect(
    mergeMetrics(
      [
        { name: 'sts', text: text(1) },
        { name: 'audit', text: `${text(2)}# HELP own Own.\n# TYPE own counter\nown{a="b"} 3\n` },
      ],
      'role',
    ),
  ).toBe(
    [
      '# HELP up Whether.',
      '# TYPE up gauge',
      'up{role="sts"} 1',
      'up{role="audit"} 2',
      '# HELP seconds How long.',
      '# TYPE seconds histogram',
      'seconds_bucket{role="sts",le="1"} 1',
      'seconds_bucket{role="audit",le="1"} 2',
      '# HELP own Own.',
      '# TYPE own counter',
      'own{a="b"} 3',
      '',
    ].join('\n'),
  )
})
