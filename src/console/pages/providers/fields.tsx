/** The settings of one kind as form fields. */
import { Check, Select, TextArea, TextField } from '../../ui/form.tsx'
import { shown } from './config.ts'
import type { Chosen, Field } from './kinds.ts'

interface FieldsProps {
  readonly fields: readonly Field[]
  readonly config: Readonly<Record<string, unknown>>
  readonly chosen: Chosen
  readonly onChoose: (name: string, value: string) => void
  /** Secrets that stay as they are when nothing is typed. */
  readonly kept: readonly string[]
}

export function ProviderFields({ fields, ...rest }: FieldsProps) {
  // A value found out later begins the field anew; what was typed into the others stays.
  const draw = (field: Field) => (
    <OneField key={`${field.name} ${shown(rest.config[field.name])}`} field={field} {...rest} />
  )
  const advanced = fields.filter((field) => field.advanced)
  return (
    <>
      {fields.filter((field) => !field.advanced).map(draw)}
      {advanced.length > 0 && (
        <details open={advanced.some(({ name }) => rest.config[name] !== undefined)}>
          <summary>More settings</summary>
          {advanced.map(draw)}
        </details>
      )}
    </>
  )
}

interface OneFieldProps extends Omit<FieldsProps, 'fields'> {
  readonly field: Field
}

function OneField({ field, config, chosen, onChoose, kept }: OneFieldProps) {
  const { name, label, type, choices, sealed, required, hint, placeholder } = field
  if (type === 'flag') return <Check name={name} label={label} checked={config[name] === true} />
  if (choices !== undefined)
    return (
      <Select
        name={name}
        label={label}
        value={chosen[name]}
        choices={choices(chosen)}
        onInput={(value) => onChoose(name, value)}
      />
    )
  const keeps = kept.includes(name)
  const told = keeps ? 'Left empty, it stays as it is.' : hint
  const common = {
    name,
    label,
    value: sealed ? '' : shown(config[name]),
    ...(required && !keeps ? { required } : {}),
    ...(told === undefined ? {} : { hint: told }),
    ...(placeholder === undefined ? {} : { placeholder }),
  }
  if (type === 'pem') return <TextArea {...common} rows={6} />
  if (type === 'pairs') return <TextArea {...common} rows={3} />
  return (
    <TextField
      {...common}
      type={type === 'secret' ? 'password' : type === 'url' ? 'url' : 'text'}
      autoComplete={type === 'secret' ? 'new-password' : 'off'}
    />
  )
}
