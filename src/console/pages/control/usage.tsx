/** How a program uses a key: its environment, one call from a shell, one from code. */
import { Snippet } from '../../ui/basics.tsx'
import { useServerUrls } from '../definitions/server-urls.ts'
import { exportLines } from '../definitions/shell.ts'
import { invokeUrl } from './endpoint-state.ts'
import { exampleCall } from './example-call.ts'

const unknownSecret = '<shown once when the key was created>'

interface UsageProps {
  readonly applicationId: string
  readonly secret: string | undefined
  readonly scopes: readonly string[]
  readonly audience: string
}

export function Usage({ applicationId, secret, scopes, audience }: UsageProps) {
  const { sts } = useServerUrls()
  const call = exampleCall(scopes)
  return (
    <>
      <Snippet
        text={exportLines([
          ['CARACAL_APPLICATION_ID', applicationId],
          ['CARACAL_APP_CLIENT_SECRET', secret ?? unknownSecret],
        ])}
      />
      <h3>From a shell</h3>
      <Snippet
        text={`token=$(curl -sS ${sts}/oauth/2/token \\
  -d grant_type=urn:ietf:params:oauth:grant-type:token-exchange \\
  -d application_id="$CARACAL_APPLICATION_ID" \\
  -d client_secret="$CARACAL_APP_CLIENT_SECRET" \\
  -d resource=${audience} -d scope=${call.scope} |
  sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')
${invokeCommand('$token', call)}`}
      />
      <h3>From a program</h3>
      <Snippet
        text={`import { ControlClient } from 'caracal/admin'

const control = new ControlClient({
  controlUrl: '${location.origin}',
  stsUrl: '${sts}',
  applicationId: process.env.CARACAL_APPLICATION_ID,
  clientSecret: process.env.CARACAL_APP_CLIENT_SECRET,
  audience: '${audience}',
})
console.log(await control.invoke({
  command: '${call.command}',
  subcommand: '${call.subcommand}',
  scopes: ['${call.scope}'],
}))`}
      />
      <p class="hint">Every call takes a new token: one that was used, or tried, is spent.</p>
    </>
  )
}

/** A call from a shell; `token` is put in as it is. */
export function invokeCommand(
  token: string,
  { command, subcommand }: { readonly command: string; readonly subcommand: string },
): string {
  return `curl -sS ${invokeUrl()} \\
  -H "authorization: Bearer ${token}" -H 'content-type: application/json' \\
  -d '${JSON.stringify({ command, subcommand })}'`
}
