/** One Control key: what it may do, its secret, a token of it. */
import { api, inZone } from '../../api.ts'
import { Link } from '../../router.tsx'
import type { Zone } from '../../state/session.tsx'
import { useData } from '../../state/use-data.ts'
import { Async, Notice } from '../../ui/basics.tsx'
import { DetailPage } from '../../ui/detail-page.tsx'
import type { Application } from '../definitions/shapes.ts'
import { useClientSecret } from '../definitions/use-secret.ts'
import { useEndpoint } from './endpoint-state.ts'
import { isKey } from './key.ts'
import { KeyActions } from './key-actions.tsx'
import { Key } from './key-detail.tsx'

export function KeyPage({ zone, id }: { readonly zone: Zone; readonly id: string }) {
  const endpoint = useEndpoint()
  const list = { to: `/zones/${zone.id}/control`, title: 'Control' }
  const path = inZone(zone.id, `/applications/${encodeURIComponent(id)}`)
  const application = useData(path, (signal) => api.get<Application>(path, signal))
  const secret = useClientSecret(path)
  return (
    <DetailPage
      title={application.value?.name ?? 'Control key'}
      list={list}
      of={application}
      actions={(one) =>
        endpoint.value?.mayManage === true &&
        isKey(one) && (
          <KeyActions
            zone={zone}
            list={list}
            path={path}
            application={one}
            endpoint={endpoint.value}
            secret={secret}
            onChanged={application.reload}
          />
        )
      }
    >
      {(one) => (
        <Async of={endpoint}>
          {(state) =>
            isKey(one) ? (
              <Key application={one} endpoint={state} secret={secret} />
            ) : (
              <NoKey zone={zone} application={one} />
            )
          }
        </Async>
      )}
    </DetailPage>
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
