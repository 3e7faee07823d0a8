/** Between the form of a provider and its `config_json`. */
import type { Values } from '../../ui/form.tsx'
import { words } from '../../ui/format.ts'
import type { Provider, ProviderKind } from '../definitions/shapes.ts'
import { type Chosen, type Field, kinds } from './kinds.ts'

type Config = Readonly<Record<string, unknown>>

/** The choices in force: what was chosen, as long as it is still offered, else the first. */
export function settle(kind: ProviderKind, wanted: Chosen): Chosen {
  const chosen: Record<string, string | undefined> = {}
  for (const { name, choices } of kinds[kind].fields) {
    const offered = choices?.(chosen).map(({ value }) => value)
    if (offered === undefined) continue
    const value = wanted[name]
    chosen[name] = value !== undefined && offered.includes(value) ? value : offered[0]
  }
  return chosen
}

export const fieldsFor = (kind: ProviderKind, chosen: Chosen): readonly Field[] =>
  kinds[kind].fields.filter(({ when }) => when === undefined || when(chosen))

export function configOf(fields: readonly Field[], values: Values): Config {
  return Object.fromEntries(
    fields
      .map((field) => [field.name, settingOf(field, values)] as const)
      .filter(([, value]) => value !== undefined),
  )
}

function settingOf({ name, type, label }: Field, values: Values): unknown {
  const text = values.text(name)
  if (type === 'flag') return values.checked(name) || undefined
  if (text === '') return undefined
  if (type === 'words') return words(text)
  return type === 'pairs' ? pairsOf(text, label) : text
}

function pairsOf(text: string, label: string): Readonly<Record<string, string>> {
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  return Object.fromEntries(
    lines.map((line) => {
      const at = line.indexOf('=')
      if (at < 1) throw new Error(`${label}: write each line as name=value`)
      return [line.slice(0, at).trim(), line.slice(at + 1).trim()]
    }),
  )
}

/** A stored or discovered setting as the form shows it. */
export function shown(value: unknown, separator = ' '): string {
  if (value === undefined || value === null) return ''
  if (Array.isArray(value)) return value.join(separator)
  if (typeof value !== 'object') return String(value)
  return Object.entries(value)
    .map(([name, one]) => `${name}=${one}`)
    .join('\n')
}

/** The public settings of a provider in words, by their labels, in the order of the form. */
export function settingsOf({ kind, config_json }: Provider): Readonly<Record<string, string>> {
  const told = kinds[kind].fields
    .filter(({ name }) => config_json[name] !== undefined)
    .map(({ name, label, choices }) => {
      const value = config_json[name]
      const chosen = choices?.(config_json as Chosen).find((one) => one.value === value)?.label
      return [label, value === true ? 'yes' : (chosen ?? shown(value, ', '))] as const
    })
  return Object.fromEntries(told)
}
