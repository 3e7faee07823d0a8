/**
 * The border: valibot schemas in, typed values out. Issues become path and our own
 * text; valibot's default messages echo the received value and never leave here.
 */

import type { Context } from 'hono'
import type { CaracalError } from '../errors.ts'
import { idPattern } from '../ids.ts'
import * as v from '../schema.ts'
import { type JsonBodyRules, readJson } from './body.ts'
import { type ErrorCode, errorOf } from './errors/registry.ts'

export interface PublicIssue {
  readonly path: readonly string[]
  readonly message: string
}

type Schema = v.GenericSchema
type AnyIssue = v.BaseIssue<unknown>

/** Requirement values are part of the schema, never of the input, so they may be shown. */
function bound(issue: AnyIssue): string {
  return String((issue as AnyIssue & { readonly requirement?: unknown }).requirement ?? '')
}

const texts: Readonly<Record<string, (issue: AnyIssue) => string>> = {
  string: () => 'must be a string',
  number: () => 'must be a number',
  boolean: () => 'must be a boolean',
  array: () => 'must be an array',
  object: () => 'must be an object',
  record: () => 'must be an object',
  null: () => 'must be null',
  never: () => 'is not allowed',
  integer: () => 'must be an integer',
  safe_integer: () => 'must be an integer',
  min_length: (issue) => `must have at least ${bound(issue)} elements or characters`,
  max_length: (issue) => `must have at most ${bound(issue)} elements or characters`,
  length: (issue) => `must have exactly ${bound(issue)} elements or characters`,
  non_empty: () => 'must not be empty',
  min_value: (issue) => `must be at least ${bound(issue)}`,
  max_value: (issue) => `must be at most ${bound(issue)}`,
  regex: () => 'has an invalid format',
  url: () => 'must be a URL',
  email: () => 'must be an email address',
  uuid: () => 'must be a UUID',
  iso_timestamp: () => 'must be an RFC 3339 timestamp',
  picklist: (issue) => `must be one of ${issue.expected ?? 'the known values'}`,
  literal: (issue) => `must be ${issue.expected ?? 'the known value'}`,
  enum: (issue) => `must be one of ${issue.expected ?? 'the known values'}`,
}

function isObjectIssue(issue: AnyIssue): boolean {
  return (
    issue.kind === 'schema' && /^(?:strict_|loose_)?(?:object|tuple)$|^object_with_rest$/.test(issue.type)
  )
}

/** Text for issues whose schema brings no message of its own. */
function describe(issue: AnyIssue): string {
  if (isObjectIssue(issue)) {
    if (issue.expected === 'never') return 'is not a known member'
    if (issue.input === undefined && issue.expected?.startsWith('"')) return 'is required'
    return 'must be an object'
  }
  if (issue.input === undefined && issue.kind === 'schema') return 'is required'
  return texts[issue.type]?.(issue) ?? 'is not valid'
}

const config = { message: describe } as const

/** Issues as they may be shown: unknown members are named, values are not. */
function publicIssues(issues: readonly AnyIssue[]): PublicIssue[] {
  return issues.map((issue) => ({
    path: issue.path?.map((item) => String(item.key)) ?? [],
    message: issue.message,
  }))
}

export interface ParseRules {
  /** Code of the refusal; `invalid_body` unless told otherwise. */
  readonly code?: ErrorCode
}

function refusal(code: ErrorCode, issues: readonly AnyIssue[]): CaracalError {
  return errorOf(code, { body: { details: { issues: publicIssues(issues) } } })
}

/** The typed value. Throws `code` with `details.issues`. */
export function parseWith<const S extends Schema>(
  schema: S,
  value: unknown,
  code: ErrorCode,
): v.InferOutput<S> {
  const result = v.safeParse(schema, value, config)
  if (!result.success) throw refusal(code, result.issues)
  return result.output
}

/** The request's JSON body. An absent body is `undefined` to the schema; wrap it in `v.optional` to allow that. */
export async function parseBody<const S extends Schema>(
  c: Context,
  schema: S,
  rules: ParseRules & JsonBodyRules = {},
): Promise<v.InferOutput<S>> {
  const body = await readJson(c, rules)
  return parseWith(schema, body.value, rules.code ?? 'invalid_body')
}

/**
 * The query string as an object of strings. A repeated key is refused when `repeated` says so
 * and the schema names the key (control-api §2.7); else its first value counts.
 */
export function parseQuery<const S extends Schema>(
  c: Context,
  schema: S,
  rules: ParseRules & { readonly repeated?: 'refused' | 'first' } = {},
): v.InferOutput<S> {
  const code = rules.code ?? 'invalid_query'
  const values: Record<string, string> = {}
  const entries = (schema as { readonly entries?: Readonly<Record<string, unknown>> }).entries
  for (const [key, all] of Object.entries(c.req.queries())) {
    if (all.length > 1 && rules.repeated === 'refused' && (!entries || Object.hasOwn(entries, key))) {
      throw errorOf(code, { body: { details: { issues: [{ path: [key], message: 'must occur once' }] } } })
    }
    values[key] = all[0] as string
  }
  return parseWith(schema, values, code)
}

/** The named path parameters after percent-decoding, each a well-formed id. Throws 400 `invalid_params`. */
export function pathIds<const Names extends readonly string[]>(
  c: Context,
  ...names: Names
): Readonly<Record<Names[number], string>> {
  const ids: Record<string, string> = {}
  for (const name of names) {
    const value = c.req.param(name)
    if (value === undefined || !idPattern.test(value)) {
      throw errorOf('invalid_params', {
        body: { details: { issues: [{ path: [name], message: 'has an invalid format' }] } },
      })
    }
    ids[name] = value
  }
  return ids as Readonly<Record<Names[number], string>>
}
