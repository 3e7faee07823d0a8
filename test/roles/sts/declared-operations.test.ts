import { describe, expect, it } from 'vitest'
import { declareOperation, operationsOf } from '../../../src/roles/sts/declared-operations.ts'

const declared = Object.entries({
  '/items': 'list',
  '/items/{id}': 'read',
  '/items/secret': 'secret',
  '/items/{id}/parts/{part}': 'part',
  '/items/{id}/parts/new': 'part-new',
  '/files/*': 'file',
  '/files/{owner}': 'owner',
  '/files/{owner}/private/*': 'private',
  '/files/a/b': 'exact',
  '/slash/{id}/': 'slash',
  '/half/a{id}': 'half',
  '/mid/*/x': 'mid',
}).map(([path, scope]) => declareOperation('get', path, scope))

const scopesOf = (path: string, method = 'GET'): string[] =>
  operationsOf(declared, method, path).map(({ scope }) => scope)

describe('the operation of a path', () => {
  it.each([
    ['/items', 'list'],
    ['/items/42', 'read'],
    ['/items/é 日', 'read'],
    ['/items/.env', 'read'],
    ['/items/{id}', 'read'],
    ['/items/secret', 'secret'],
    ['/items/42/parts/7', 'part'],
    ['/items/42/parts/new', 'part-new'],
    ['/files/a', 'owner'],
    ['/files/a/b', 'exact'],
    ['/files/a/c/d', 'file'],
    ['/files/a/private/d', 'private'],
    ['/files/a/c/', 'file'],
    ['/files/a/private/d/', 'private'],
    ['/slash/42/', 'slash'],
    ['/half/a{id}', 'half'],
    ['/mid/*/x', 'mid'],
  ])('%s is %s', (path, scope) => {
    expect(scopesOf(path)).toEqual([scope])
  })

  it.each([
    '',
    '/',
    '/items/',
    '/items//',
    '/items/42/',
    '/items/42/parts',
    '/items//parts/7',
    '/items/42/more',
    '/Items/42',
    '/files',
    '/files/',
    '/files//a',
    '/files/a//b',
    '/files/a/c//',
    // What the narrower operation covers is not open below for a slash more.
    '/files/a/b/',
    '/slash/42',
    '/half/ab',
    '/mid/y/x',
    'files/a/c',
  ])('%s is none', (path) => {
    expect(scopesOf(path)).toEqual([])
  })

  it.each(['.', '..', 'a%2Fb', '%2e%2e', 'a\\b', 'secret;x', '..;', 'a?b', 'a#b', 'a\u0000', 'a\n'])(
    'no pattern takes the segment %j',
    (segment) => {
      expect(scopesOf(`/items/${segment}`)).toEqual([])
      expect(scopesOf(`/files/a/c/${segment}`)).toEqual([])
      expect(scopesOf(`/files/a/${segment}/c`)).toEqual([])
    },
  )

  it('has the method of the request', () => {
    expect(scopesOf('/items/42', 'POST')).toEqual([])
  })

  it('an open root covers all but the root itself', () => {
    const open = [declareOperation('GET', '/*', 'all')]
    expect(operationsOf(open, 'GET', '/a/b')).toHaveLength(1)
    expect(operationsOf(open, 'GET', '/')).toHaveLength(0)
  })
})
