/**
 * All rules of one name: how their answers come together. One value, or several
 * rules that agree; a set or an object that collects; a function. `undefined`
 * is no answer. Two different answers are a conflict, which ends the evaluation.
 */

import { insert } from './closures.ts'
import { RegoEvaluationError } from './failure.ts'
import type { Getter, Machine } from './machine.ts'
import type { RuleIndex } from './rule-index.ts'
import type { RuleKind } from './syntax.ts'
import { equalValues, RegoObject, RegoSet, type Value, weightOf } from './value.ts'

/** One compiled rule. `solve` runs it and hands each solution to the collector; `true` stops. */
export interface CompiledRule {
  solve(machine: Machine, operands: readonly Value[], collect: Collect): void
}

/** Gets the value (or member) and, for objects, its key. */
type Collect = (value: Value, key: Value | undefined) => boolean

export interface RuleGroup {
  /** `package.rule`, for messages. */
  readonly path: string
  readonly kind: RuleKind
  readonly arity: number
  /** Place of its value among the cached ones. */
  readonly slot: number
  rules: RuleIndex
  /** All rules have this one value, so the first solution decides; `undefined` otherwise. */
  only: Value | undefined
  fallback: Value | undefined
}

/** The value of a rule without parameters, computed once per evaluation. */
export function readRule(group: RuleGroup): Getter {
  const { slot } = group
  return (machine) => {
    const cached = machine.cache[slot]
    if (cached !== undefined) return cached.value
    machine.enter()
    const value = evaluate(group, machine)
    machine.leave()
    machine.cache[slot] = { value }
    return value
  }
}

function evaluate(group: RuleGroup, machine: Machine): Value | undefined {
  switch (group.kind) {
    case 'set': {
      const set = new RegoSet()
      for (const rule of group.rules(machine)) {
        rule.solve(machine, [], (member) => {
          machine.tick(weightOf(member))
          set.add(member)
          return false
        })
      }
      return set
    }
    case 'object': {
      const object = new RegoObject()
      for (const rule of group.rules(machine)) {
        rule.solve(machine, [], (value, key) => {
          if (key !== undefined) insert(object, key, value)
          return false
        })
      }
      return object
    }
    default: {
      const value = agree(group, machine, [])
      return value === undefined ? group.fallback : value
    }
  }
}

/** The value of a function; `undefined` when no definition fits. */
export function callOf(
  group: RuleGroup,
): (machine: Machine, operands: readonly Value[]) => Value | undefined {
  return (machine, operands) => {
    machine.tick()
    machine.enter()
    const value = agree(group, machine, operands)
    machine.leave()
    return value
  }
}

function agree(group: RuleGroup, machine: Machine, operands: readonly Value[]): Value | undefined {
  let result: Value | undefined
  const isSettled = group.only !== undefined
  const collect: Collect = (value) => {
    if (result === undefined) result = value
    else if (!equalValues(result, value)) {
      throw new RegoEvaluationError('conflict', `${group.path} has two different values`)
    }
    return isSettled
  }
  for (const rule of group.rules(machine)) {
    rule.solve(machine, operands, collect)
    if (isSettled && result !== undefined) return result
  }
  return result
}
