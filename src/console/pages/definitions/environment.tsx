/** What an application's program needs to know: the four variables, and addresses that are not the defaults. */
import { useState } from 'preact/hooks'
import { Async, Notice, Snippet } from '../../ui/basics.tsx'
import { useResources } from './lists.ts'
import { urlVariables, useServerUrls } from './server-urls.ts'
import { exportLines } from './shell.ts'

/** More resources than this are not chosen by themselves: a program rarely uses them all. */
const chosenAtFirst = 10
const unknownSecret = '<shown once when the application was created>'

interface EnvironmentProps {
  readonly zoneId: string
  readonly applicationId: string
  readonly secret: string | undefined
}

export function Environment({ zoneId, applicationId, secret }: EnvironmentProps) {
  const resources = useResources(zoneId)
  const urls = useServerUrls()
  const [left, setLeft] = useState<ReadonlySet<string> | null>(null)
  return (
    <Async of={resources}>
      {(all) => {
        const offered = all.filter((resource) => resource.upstream_url !== null)
        const without = left ?? new Set(offered.slice(chosenAtFirst).map(({ id }) => id))
        const chosen = offered.filter(({ id }) => !without.has(id))
        const toggle = (id: string) => {
          const next = new Set(without)
          if (!next.delete(id)) next.add(id)
          setLeft(next)
        }
        const text = exportLines([
          ['CARACAL_ZONE_ID', zoneId],
          ['CARACAL_APPLICATION_ID', applicationId],
          ['CARACAL_APP_CLIENT_SECRET', secret ?? unknownSecret],
          ['CARACAL_APP_RESOURCES', chosen.map(({ identifier }) => identifier).join(',')],
          ...urlVariables(urls, ['sts', 'coordinator', 'gateway']),
        ])
        return (
          <>
            {offered.length > 1 && (
              <fieldset>
                <legend>Resources that this program uses</legend>
                {offered.map(({ id, name, identifier }) => (
                  <label key={id} class="check">
                    <input type="checkbox" checked={!without.has(id)} onChange={() => toggle(id)} />
                    <span>
                      {name} <code>{identifier}</code>
                    </span>
                  </label>
                ))}
              </fieldset>
            )}
            <Snippet text={text} />
            {chosen.length === 0 && (
              <Notice tone="warn">
                {offered.length === 0
                  ? 'This zone has no resource yet. Add one, then CARACAL_APP_RESOURCES names it.'
                  : 'Choose at least one resource.'}
              </Notice>
            )}
            {urls.guessed && (
              <p class="hint">
                The addresses follow from that of this page. If the roles of this server are published
                elsewhere, put those in.
              </p>
            )}
          </>
        )
      }}
    </Async>
  )
}
