/** A limit of the whole server that operators may lower: what it is, how far it goes, and a field for whoever may change it. */
import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import { ApiError, api } from '../../api.ts'
import { useData } from '../../state/use-data.ts'
import { Async, Facts, Notice, Section, Time } from '../../ui/basics.tsx'
import { Confirm } from '../../ui/dialog.tsx'
import { Form, TextField } from '../../ui/form.tsx'
import { Named } from '../../ui/names.tsx'
import { useOperatorNames } from '../../ui/operators.tsx'
import { useMayChangeLimits } from './may-change-limits.ts'

export interface Limit {
  readonly value: number
  readonly ceiling: number
  readonly updated_by: string | null
  readonly updated_at: string | null
}

interface PlatformLimitProps<T> {
  readonly title: string
  readonly about: ComponentChildren
  readonly path: string
  /** The resource of the group `platform` that a role grants. */
  readonly resource: string
  readonly label: string
  /** "365 days" */
  readonly say: (value: number) => string
  /** The variable that sets the ceiling. */
  readonly variable: string
  readonly read: (answer: T) => Limit
  readonly write: (value: number) => object
  /** What a lower value takes away for good; asked before. */
  readonly lowering?: (value: number) => ComponentChildren
}

export function PlatformLimit<T>(props: PlatformLimitProps<T>) {
  const { title, about, path, read } = props
  const limit = useData(path, async (signal) => read(await api.get<T>(path, signal)))
  const { error } = limit
  const isHidden = error instanceof ApiError && error.status === 403
  return (
    <Section title={title}>
      <p>{about}</p>
      {isHidden ? (
        <p class="hint">It holds for the whole server, and you may not see it.</p>
      ) : (
        <Async of={limit}>
          {(known) => <Known key={known.value} {...props} limit={known} reload={limit.reload} />}
        </Async>
      )}
    </Section>
  )
}

type KnownProps<T> = PlatformLimitProps<T> & { readonly limit: Limit; readonly reload: () => void }

function Known<T>({ limit, reload, ...props }: KnownProps<T>) {
  const { path, resource, label, say, variable, write, lowering, title } = props
  const { value, ceiling, updated_by, updated_at } = limit
  const names = useOperatorNames([updated_by])
  const mayChange = useMayChangeLimits(resource)
  const [asked, setAsked] = useState<number>()
  const save = async (wanted: number) => {
    await api.put(path, write(wanted))
    reload()
  }
  const submit = async (wanted: number | undefined) => {
    if (wanted === undefined) return
    if (lowering !== undefined && wanted < value) setAsked(wanted)
    else await save(wanted)
  }
  return (
    <>
      <Facts
        of={{
          Now: say(value),
          'At most': (
            <>
              {say(ceiling)} <span class="faint">({variable})</span>
            </>
          ),
          Changed: updated_at === null ? 'never' : <Time at={updated_at} />,
          ...(updated_by === null ? {} : { By: <Named id={updated_by} names={names} /> }),
        }}
      />
      {mayChange ? (
        <Form action="Save" onSubmit={(values) => submit(values.number('value'))}>
          <TextField
            name="value"
            label={label}
            type="number"
            min={1}
            max={ceiling}
            value={String(value)}
            required
          />
        </Form>
      ) : (
        <p class="hint">You may look at it and not change it.</p>
      )}
      {asked !== undefined && (
        <Confirm
          title={`${title}: ${say(asked)}?`}
          action="Save"
          onConfirm={() => save(asked)}
          onClose={() => setAsked(undefined)}
        >
          <Notice tone="warn">{lowering?.(asked)}</Notice>
        </Confirm>
      )}
    </>
  )
}
