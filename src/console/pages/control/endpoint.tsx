/** Whether the server takes Control calls, and the switch. */
import { api } from '../../api.ts'
import type { Data } from '../../state/use-data.ts'
import { Async, Badge, Facts, Notice, Section, Snippet } from '../../ui/basics.tsx'
import { SwitchButton } from '../../ui/dialog.tsx'
import { exportLines } from '../definitions/shell.ts'
import { type EndpointState, invokeUrl } from './endpoint-state.ts'

export function Endpoint({ of }: { readonly of: Data<EndpointState> }) {
  const turn = async (to: 'enable' | 'disable') => {
    await api.post(`/control/${to}`)
    of.reload()
  }
  const state = of.value
  const toggle = state?.switchable && state.mayManage && (
    <SwitchButton
      isOn={state.open}
      kind={state.open ? 'plain' : 'primary'}
      on={{
        title: 'Turn on the Control endpoint',
        action: 'Turn on',
        danger: false,
        onConfirm: () => turn('enable'),
        children:
          'Programs that hold a Control key can then do what their key allows, in every zone of this server.',
      }}
      off={{
        title: 'Turn off the Control endpoint',
        action: 'Turn off',
        onConfirm: () => turn('disable'),
        children:
          'Every call is refused from now on, in every zone of this server. Keys and their secrets stay as they are.',
      }}
    />
  )
  return (
    <Section title="Endpoint" actions={toggle}>
      <Async of={of}>
        {(known) => (
          <>
            <Facts
              of={{
                State: known.open ? <Badge tone="ok">on</Badge> : <Badge>off</Badge>,
                Audience: <code>{known.audience}</code>,
              }}
            />
            <Snippet text={invokeUrl()} />
            <Explanation of={known} />
          </>
        )}
      </Async>
    </Section>
  )
}

function Explanation({ of: { served, switchable, open, mayManage } }: { readonly of: EndpointState }) {
  if (!switchable) return <HowToServe served={served} />
  return (
    <p class="hint">
      {open
        ? 'Calls from Control keys are taken, each with a token of its own.'
        : 'Every call is refused until it is turned on.'}{' '}
      The switch is for every zone of this server
      {mayManage
        ? '; turning it is written to the audit.'
        : ', and so only an operator of all of it can turn it.'}
    </p>
  )
}

const gateFile: readonly [string, string] = ['CONTROL_GATE_FILE', '<a file that the server may write>']

function HowToServe({ served }: { readonly served: boolean }) {
  return (
    <Notice tone="warn">
      <p>
        {served
          ? 'This server has no switch for Control, so it stays off. Start it with this setting, and it can be turned on here.'
          : 'This server does not serve Control. Start it with these settings, and it can be turned on here.'}
      </p>
      <Snippet text={exportLines(served ? [gateFile] : [['CARACAL_CONTROL_ENABLED', 'true'], gateFile])} />
      <p class="hint">Control is on while that file exists.</p>
    </Notice>
  )
}
