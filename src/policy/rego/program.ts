/**
 * Modules → a program: links names across packages, refuses what cannot be
 * evaluated safely (unknown functions, unsafe variables, recursion, rules that
 * contradict each other by their form), and builds the closures.
 */
import type { Builtin } from './builtins/builtin.ts'
import { builtins } from './builtins/index.ts'
import { constantOf } from './constant.ts'
import { type Position, RegoSyntaxError } from './failure.ts'
import type { Continuation, Frame, Getter } from './machine.ts'
import { Planner } from './plan.ts'
import type { Linker } from './plan-terms.ts'
import { type Resolution, resolveRule } from './resolve.ts'
import { type CompiledRule, callOf, type RuleGroup, readRule } from './rule-group.ts'
import { conditionsOf, type IndexedRule, indexRules } from './rule-index.ts'
import type { Body, Module, Rule, Term } from './syntax.ts'
import { equalValues, type Value } from './value.ts'

/** Far more than an evaluation may have open at once. */
const MAX_CHAIN = 1000

export interface Program {
  /** Groups by `package.rule`. */
  readonly groups: ReadonlyMap<string, RuleGroup>
  /** Paths of groups that read the input, themselves or through others. */
  readonly readingInput: ReadonlySet<string>
}

interface Definition {
  readonly module: Module
  readonly rule: Rule
}

interface Draft {
  readonly group: RuleGroup
  readonly definitions: readonly Definition[]
  readonly dependencies: Map<RuleGroup, Position>
  readsInput: boolean
}

/**
 * Compiles modules that belong together. `assumed` rules (`package.rule`) may be
 * referred to even where no module defines them; they have no value then.
 * Throws only `RegoSyntaxError`, with `module` set.
 */
export function compileProgram(modules: readonly Module[], assumed: readonly string[] = []): Program {
  const drafts = draftGroups(modules)
  for (const path of assumed) {
    if (!drafts.has(path)) drafts.set(path, emptyDraft(path, drafts.size))
  }
  const groups = new Map([...drafts].map(([path, { group }]) => [path, group]))
  const namesByPackage = new Map<string, Set<string>>()
  for (const path of drafts.keys()) {
    const dot = path.lastIndexOf('.')
    const names = namesByPackage.get(path.slice(0, dot)) ?? new Set()
    namesByPackage.set(path.slice(0, dot), names.add(path.slice(dot + 1)))
  }
  for (const draft of drafts.values()) {
    for (const definition of draft.definitions) {
      inModule(definition.module, () => {
        if (groups.has(definition.module.package.join('.'))) {
          throw new RegoSyntaxError('the package has the path of a rule', definition.rule.at)
        }
      })
    }
    completeDraft(draft, groups, namesByPackage)
  }
  refuseRecursion(drafts)
  const readingInput = new Set<string>()
  for (const [path, draft] of drafts) if (draft.readsInput) readingInput.add(path)
  return { groups, readingInput }
}

function draftGroups(modules: readonly Module[]): Map<string, Draft> {
  const collected = new Map<string, Definition[]>()
  for (const module of modules) {
    for (const rule of module.rules) {
      const path = [...module.package, rule.name].join('.')
      const list = collected.get(path)
      if (list === undefined) collected.set(path, [{ module, rule }])
      else list.push({ module, rule })
    }
  }
  const drafts = new Map<string, Draft>()
  for (const [path, definitions] of collected) {
    const sample = (definitions.find(({ rule }) => !rule.isDefault) ?? definitions[0]) as Definition
    const { kind, parameters } = sample.rule
    for (const { module, rule } of definitions) {
      inModule(module, () => refuseMixture(rule, kind, parameters.length))
    }
    const [, second] = definitions.filter(({ rule }) => rule.isDefault)
    if (second !== undefined) {
      inModule(second.module, () => {
        throw new RegoSyntaxError(`${second.rule.name} has two defaults`, second.rule.at)
      })
    }
    const draft = emptyDraft(path, drafts.size, kind, parameters.length)
    drafts.set(path, { ...draft, definitions })
  }
  return drafts
}

function emptyDraft(path: string, slot: number, kind: Rule['kind'] = 'complete', arity = 0): Draft {
  const group: RuleGroup = { path, kind, arity, slot, rules: () => [], only: undefined, fallback: undefined }
  return { group, definitions: [], dependencies: new Map(), readsInput: false }
}

function refuseMixture(rule: Rule, kind: Rule['kind'], arity: number): void {
  if (rule.kind !== kind) {
    throw new RegoSyntaxError(`${rule.name} is defined in two ways that cannot be combined`, rule.at)
  }
  if (rule.parameters.length !== arity) {
    throw new RegoSyntaxError(
      `${rule.name} is defined with ${arity} and with ${rule.parameters.length} parameters`,
      rule.at,
    )
  }
}

function completeDraft(
  draft: Draft,
  groups: ReadonlyMap<string, RuleGroup>,
  namesByPackage: ReadonlyMap<string, ReadonlySet<string>>,
): void {
  const { group, definitions, dependencies } = draft
  const rules: IndexedRule[] = []
  for (const { module, rule } of definitions) {
    inModule(module, () => {
      if (rule.isDefault) {
        group.fallback = constantOf(rule.value)
        if (group.fallback === undefined)
          throw new RegoSyntaxError('a default must be a constant', rule.value.at)
        return
      }
      const linker = linkerFor(module, groups, dependencies)
      const resolution = resolveRule(rule, namesByPackage.get(module.package.join('.')) ?? new Set())
      for (const { kind } of resolution.meanings.values()) if (kind === 'input') draft.readsInput = true
      rules.push(compileRule(rule, resolution, linker))
    })
  }
  group.rules = indexRules(rules)
  group.only = onlyValue(definitions.filter(({ rule }) => !rule.isDefault).map(({ rule }) => rule))
}

/** The constant all rules give, when they all give the same one. */
function onlyValue(rules: readonly Rule[]): Value | undefined {
  let only: Value | undefined
  for (const rule of rules) {
    const value = rule.otherwise.length === 0 ? constantOf(rule.value) : undefined
    if (value === undefined || (only !== undefined && !equalValues(only, value))) return undefined
    only = value
  }
  return only
}

function compileRule(rule: Rule, resolution: Resolution, linker: Linker): IndexedRule {
  const planner = new Planner(resolution, linker)
  const parameterSlots = rule.parameters.map(() => planner.slot())
  const parameters = planner.parameters(rule.parameters, parameterSlots)
  const bound = new Set(parameters.outputs)
  const collectSlot = planner.slot()
  const foundSlot = planner.slot()

  const branch = (body: Body | null, heads: readonly Term[]): Continuation =>
    parameters.build(
      planner.body(body ?? [], heads, bound, (getters) => {
        const value = getters[getters.length - 1] as Getter
        const key = getters.length > 1 ? (getters[0] as Getter) : null
        return (machine, frame) => {
          machine.tick()
          const found = value(machine, frame)
          const at = key?.(machine, frame)
          if (found === undefined || (key !== null && at === undefined)) return false
          frame[foundSlot] = true
          return (frame[collectSlot] as Parameters<CompiledRule['solve']>[2])(found, at)
        }
      }),
    )

  const branches = [branch(rule.body, rule.key === null ? [rule.value] : [rule.key, rule.value])]
  for (const { value, body } of rule.otherwise) branches.push(branch(body, [value]))
  const size = planner.slots
  const compiled: CompiledRule = {
    solve(machine, operands, collect) {
      const frame: Frame = new Array(size)
      for (let index = 0; index < parameterSlots.length; index += 1) {
        frame[parameterSlots[index] as number] = operands[index]
      }
      frame[collectSlot] = collect
      // An `else` branch only counts where no earlier branch has a solution.
      for (const run of branches) {
        machine.tick()
        run(machine, frame)
        if (frame[foundSlot] === true) return
      }
    },
  }
  const isInput = (term: Term): boolean => resolution.meanings.get(term)?.kind === 'input'
  const conditions = rule.otherwise.length === 0 ? conditionsOf(rule.body ?? [], isInput) : new Map()
  return { compiled, conditions }
}

function linkerFor(
  module: Module,
  groups: ReadonlyMap<string, RuleGroup>,
  dependencies: Map<RuleGroup, Position>,
): Linker {
  const here = module.package.join('.')
  const use = (group: RuleGroup, at: Position): RuleGroup => {
    if (!dependencies.has(group)) dependencies.set(group, at)
    return group
  }
  const value = (group: RuleGroup, at: Position): Getter => {
    if (group.kind === 'function')
      throw new RegoSyntaxError(`${group.path} is a function and has no value`, at)
    return readRule(use(group, at))
  }
  return {
    rule: (name, at) => {
      const group = groups.get(`${here}.${name}`)
      if (group === undefined) throw new RegoSyntaxError(`${name} is not defined`, at)
      return value(group, at)
    },
    data: (path, at) => linkData(path, at, groups, value),
    callee: (name, operands, at) => {
      const group =
        groups.get(`${here}.${name}`) ?? (name.startsWith('data.') ? groups.get(name.slice(5)) : undefined)
      const callee = group ?? builtins.get(name)
      if (callee === undefined) throw new RegoSyntaxError(`${name} is not a known function`, at)
      if (group !== undefined && group.kind !== 'function')
        throw new RegoSyntaxError(`${name} is not a function`, at)
      if (callee.arity !== operands) {
        throw new RegoSyntaxError(`${name} takes ${callee.arity} operands, not ${operands}`, at)
      }
      return group === undefined ? (callee as Builtin) : callOf(use(group, at))
    },
  }
}

/** `data.<package>.<rule>`; a path that leads to no rule has no value. */
function linkData(
  path: readonly Term[],
  at: Position,
  groups: ReadonlyMap<string, RuleGroup>,
  value: (group: RuleGroup, at: Position) => Getter,
): { getter: Getter; consumed: number } {
  let prefix = ''
  for (const [index, part] of path.entries()) {
    if (part.kind !== 'scalar' || typeof part.value !== 'string') break
    prefix = prefix === '' ? part.value : `${prefix}.${part.value}`
    const group = groups.get(prefix)
    if (group !== undefined) return { getter: value(group, at), consumed: index + 1 }
  }
  const known = [...groups.keys()].some((name) => prefix === '' || name.startsWith(`${prefix}.`))
  if (known) throw new RegoSyntaxError('data must be followed by the path of one rule', at)
  return { getter: () => undefined, consumed: path.length }
}

/** Refuses cycles; on the way back every group learns whether it reads the input through others. */
function refuseRecursion(drafts: ReadonlyMap<string, Draft>): void {
  const finished = new Set<RuleGroup>()
  const open = new Set<RuleGroup>()
  const visit = (draft: Draft): void => {
    if (finished.has(draft.group)) return
    open.add(draft.group)
    if (open.size > MAX_CHAIN) {
      const { module, rule } = draft.definitions[0] as Definition
      inModule(module, () => {
        throw new RegoSyntaxError(`more than ${MAX_CHAIN} rules depend on each other in a chain`, rule.at)
      })
    }
    for (const [dependency, at] of draft.dependencies) {
      if (open.has(dependency)) {
        const [definition] = draft.definitions
        inModule((definition as Definition).module, () => {
          throw new RegoSyntaxError(`${dependency.path} is recursive`, at)
        })
      }
      const needed = drafts.get(dependency.path) as Draft
      visit(needed)
      draft.readsInput ||= needed.readsInput
    }
    open.delete(draft.group)
    finished.add(draft.group)
  }
  for (const draft of drafts.values()) visit(draft)
}

/** Names the module in whatever is refused inside. */
function inModule(module: Module, run: () => void): void {
  try {
    run()
  } catch (error) {
    if (error instanceof RegoSyntaxError) error.module ??= module.id
    throw error
  }
}
