import { Check, TextField, type Values } from '../../ui/form.tsx'
import { eventName, type Sink, sinkEvents } from './sink.ts'

/** What is said of a sink, new or not. */
export function SinkFields({ of }: { readonly of?: Sink }) {
  return (
    <>
      <TextField name="name" label="Name" value={of?.name} placeholder="On-call chat" required autoFocus />
      <TextField
        name="url"
        label="URL"
        type="url"
        value={of?.url}
        placeholder="https://hooks.example.com/caracal"
        hint="https, at a public address. Plain http only to this machine."
        required
      />
      <fieldset>
        <legend>Hears of</legend>
        {sinkEvents.map((type) => (
          <Check
            key={type}
            name="event_types"
            value={type}
            label={eventName(type)}
            checked={of === undefined || of.event_types.includes(type)}
          />
        ))}
      </fieldset>
    </>
  )
}

/** Throws when no event is chosen: the server would take that for all of them. */
export function sinkFrom(values: Values) {
  const event_types = values.all('event_types')
  if (event_types.length === 0) throw new Error('Choose at least one event.')
  return { name: values.text('name'), url: values.text('url'), event_types }
}
