/**
 * Brings the rules of several documents together (sts §6.7 step 7, §16.3). Rules
 * that are plain values are merged here, once; a name with any other rule is
 * left to the engine. Two definitions that can never hold together are found now.
 */
import { type DataDocumentName, dataDocumentNames } from './contract.ts'
import { constantOf } from './rego/constant.ts'
import type { Position } from './rego/failure.ts'
import type { Module, Rule } from './rego/syntax.ts'
import { equalValues, RegoObject, RegoSet, type Value } from './rego/value.ts'

export interface Conflict {
  readonly documentId: string
  readonly at: Position
  readonly message: string
}

export interface MergedDocuments {
  readonly values: ReadonlyMap<DataDocumentName, Value>
  /** Names that must be evaluated for each decision. */
  readonly computed: ReadonlySet<DataDocumentName>
}

interface Definition {
  readonly module: Module
  readonly rule: Rule
}

export function isDataDocumentName(name: string): name is DataDocumentName {
  return (dataDocumentNames as readonly string[]).includes(name)
}

/** Modules must only define data documents; anything else is a conflict of its own. */
export function mergeDocuments(modules: readonly Module[]): MergedDocuments | Conflict {
  const definitions = new Map<DataDocumentName, Definition[]>()
  for (const module of modules) {
    for (const rule of module.rules) {
      if (!isDataDocumentName(rule.name)) return conflict(module, rule, `${rule.name} is not a data document`)
      if (rule.kind === 'function') return conflict(module, rule, `${rule.name} cannot be a function`)
      const list = definitions.get(rule.name)
      if (list === undefined) definitions.set(rule.name, [{ module, rule }])
      else list.push({ module, rule })
    }
  }
  const values = new Map<DataDocumentName, Value>()
  const computed = new Set<DataDocumentName>()
  for (const [name, list] of definitions) {
    const merged = mergeDefinitions(name, list)
    if ('conflict' in merged) return merged.conflict
    if (merged.value === undefined) computed.add(name)
    else values.set(name, merged.value)
  }
  return { values, computed }
}

type Merged = { readonly value: Value | undefined } | { readonly conflict: Conflict }

function mergeDefinitions(name: string, list: readonly Definition[]): Merged {
  const defaults = list.filter(({ rule }) => rule.isDefault)
  const others = list.filter(({ rule }) => !rule.isDefault)
  const kind = others[0]?.rule.kind ?? 'complete'
  for (const { module, rule } of others) {
    if (rule.kind !== kind) {
      return { conflict: conflict(module, rule, `${name} is defined both as one value and in parts`) }
    }
  }
  const [partialDefault] = kind === 'complete' ? [] : defaults
  if (partialDefault !== undefined) {
    const { module, rule } = partialDefault
    return { conflict: conflict(module, rule, `${name} is defined in parts and cannot have a default`) }
  }
  const fallback = mergeComplete(name, defaults)
  if ('conflict' in fallback || others.length === 0) return fallback
  switch (kind) {
    case 'set':
      return mergeSet(others)
    case 'object':
      return mergeObject(name, others)
    default:
      return mergeComplete(name, others)
  }
}

/** Unconditional values must agree, even where other rules are conditional. */
function mergeComplete(name: string, list: readonly Definition[]): Merged {
  let value: Value | undefined
  let computed = list.length === 0
  for (const { module, rule } of list) {
    const constant = rule.body === null ? constantOf(rule.value) : undefined
    if (constant === undefined) computed = true
    else if (value !== undefined && !equalValues(value, constant)) {
      return { conflict: conflict(module, rule, `${name} has two different values`) }
    } else value = constant
  }
  return { value: computed ? undefined : value }
}

function mergeSet(list: readonly Definition[]): Merged {
  const set = new RegoSet()
  for (const { rule } of list) {
    const member = rule.body === null ? constantOf(rule.value) : undefined
    if (member === undefined) return { value: undefined }
    set.add(member)
  }
  return { value: set }
}

function mergeObject(name: string, list: readonly Definition[]): Merged {
  const object = new RegoObject()
  let computed = false
  for (const { module, rule } of list) {
    const key = rule.body === null && rule.key !== null ? constantOf(rule.key) : undefined
    const value = key === undefined ? undefined : constantOf(rule.value)
    if (key === undefined || value === undefined) {
      computed = true
      continue
    }
    const earlier = object.get(key)
    if (earlier !== undefined && !equalValues(earlier, value)) {
      return { conflict: conflict(module, rule, `${name} has one key with two different values`) }
    }
    object.set(key, value)
  }
  return { value: computed ? undefined : object }
}

function conflict(module: Module, rule: Rule, message: string): Conflict {
  return { documentId: module.id, at: rule.at, message }
}
