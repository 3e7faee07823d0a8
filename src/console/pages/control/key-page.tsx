/** One Control key: what it may do, its secret, a token of it. */
import { useState } from 'preact/hooks'
import { api, inZone } from '../../api.ts'
import { Link } from '../../router.tsx'
import type { Zone } from '../../state/session.tsx'
import { useData } from '../../state/use-data.ts'
import { Async, Button, Notice, Page } from '../../ui/basics.tsx'
import { Back } from '../definitions/names.tsx'
import type { Application } from '../definitions/shapes.ts'
import { useEndpoint } from './endpoint-state.ts'
import { isKey } from './key.ts'
import { type Asked, Key } from './key-detail.tsx'

export function KeyPage({ zone, id }: { readonly zone: Zone; readonly id: string }) {
  const endpoint = useEndpoint()
  const list = `/zones/${zone.id}/control`
  const path = inZone(zone.id, `/applications/${encodeURIComponent(id)}`)
  const application = useData(path, (signal) => api.get<Application>(path, signal))
  const [asked, setAsked] = useState<Asked>()
  const row = application.value
  const mayChange = endpoint.value?.mayManage === true && row !== undefined && isKey(row)
  return (
    <Page
      title={row?.name ?? 'Control key'}
      lead={<Back to={list} title="Control" />}
      actions={
        mayChange && (
          <>
            <Button kind="primary" onClick={() => setAsked('token')}>
              Issue token
            </Button>
            <Button onClick={() => setAsked('edit')}>Edit</Button>
            <Button onClick={() => setAsked('rotate')}>Rotate secret</Button>
            <Button kind="danger" onClick={() => setAsked('archive')}>
              Archive
            </Button>
          </>
        )
      }
    >
      <Async of={endpoint}>
        {(state) => (
          <Async of={application}>
            {(one) =>
              isKey(one) ? (
                <Key
                  zone={zone}
                  list={list}
                  path={path}
                  application={one}
                  endpoint={state}
                  asked={asked}
                  onClose={() => setAsked(undefined)}
                  onChanged={application.reload}
                />
              ) : (
                <NoKey zone={zone} application={one} />
              )
            }
          </Async>
        )}
      </Async>
    </Page>
  )
}

function NoKey({ zone, application }: { readonly zone: Zone; readonly application: Application }) {
  return (
    <Notice>
      {application.traits === undefined
        ? 'Control keys are shown to operators of the whole server only.'
        : 'This application is no Control key.'}{' '}
      <Link to={`/zones/${zone.id}/applications/${application.id}`}>To the application</Link>
    </Notice>
  )
}
