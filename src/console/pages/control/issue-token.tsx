/** A token for one call, made on the page. The secret of the key stays in the server. */
import { useState } from 'preact/hooks'
import { api } from '../../api.ts'
import { Button, Notice, Snippet, Time } from '../../ui/basics.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { Form, TextField } from '../../ui/form.tsx'
import type { Application } from '../definitions/shapes.ts'
import { exportLines } from '../definitions/shell.ts'
import type { EndpointState } from './endpoint-state.ts'
import { exampleCall } from './example-call.ts'
import { rightsOf } from './key.ts'
import { ScopeChoice } from './scope-choice.tsx'
import { invokeCommand } from './usage.tsx'

interface IssueProps {
  readonly zoneId: string
  readonly application: Application
  readonly endpoint: EndpointState
  readonly onClose: () => void
}

interface Issued {
  readonly token: string
  readonly until: string
  readonly scopes: readonly string[]
}

export function IssueToken({ zoneId, application, endpoint, onClose }: IssueProps) {
  const { scopes, maxTtl } = rightsOf(application)
  const [chosen, setChosen] = useState<ReadonlySet<string>>(() => new Set(scopes))
  const [issued, setIssued] = useState<Issued>()
  const issue = async (seconds: number | undefined) => {
    if (chosen.size === 0) throw new Error('Choose at least one scope.')
    const wanted = scopes.filter((scope) => chosen.has(scope))
    const answer = await api.post<{ access_token: string; expires_in: number }>('/control/token', {
      zone_id: zoneId,
      application_id: application.id,
      scopes: wanted,
      ...(seconds === undefined ? {} : { ttl_seconds: seconds }),
    })
    const until = new Date(Date.now() + answer.expires_in * 1000).toISOString()
    setIssued({ token: answer.access_token, until, scopes: wanted })
  }
  if (issued !== undefined)
    return (
      <Dialog title="A token for one call" side onClose={onClose}>
        {!endpoint.open && (
          <Notice tone="warn">The endpoint is off: the call is refused until it is turned on.</Notice>
        )}
        <Snippet text={exportLines([['CONTROL_TOKEN', issued.token]])} />
        <p>
          It is not shown again. It expires <Time at={issued.until} />, and is spent with the first call,
          whatever comes of it.
        </p>
        <h3>A call with it</h3>
        <Snippet text={invokeCommand('$CONTROL_TOKEN', exampleCall(issued.scopes))} />
        <div class="form-end">
          <Button onClick={() => setIssued(undefined)}>Another one</Button>
          <Button kind="primary" onClick={onClose}>
            Done
          </Button>
        </div>
      </Dialog>
    )
  return (
    <Dialog title="Issue a token" side onClose={onClose}>
      <p>For a call by hand, as {application.name}. Who issued it is written to the audit.</p>
      <Form action="Issue" onCancel={onClose} onSubmit={(values) => issue(values.number('ttl'))}>
        <ScopeChoice legend="Scopes of the token" offered={scopes} chosen={chosen} onChange={setChosen} />
        <TextField
          name="ttl"
          label="Seconds to live (optional)"
          placeholder={String(maxTtl ?? 900)}
          hint={maxTtl === null ? undefined : `This key's tokens live ${maxTtl} seconds at most.`}
        />
      </Form>
    </Dialog>
  )
}
