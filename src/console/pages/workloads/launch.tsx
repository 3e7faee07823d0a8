/** How a program is started as a workload. */
import { Snippet } from '../../ui/basics.tsx'
import { urlVariables, useServerUrls } from '../definitions/server-urls.ts'
import { exportLines } from '../definitions/shell.ts'

const unknownSecret = '<shown once when the workload was created>'

export function Launch({
  workloadId,
  secret,
}: {
  readonly workloadId: string
  readonly secret: string | undefined
}) {
  const urls = useServerUrls()
  const variables = exportLines([
    ['CARACAL_WORKLOAD_ID', workloadId],
    ['CARACAL_WORKLOAD_SECRET', secret ?? unknownSecret],
    ...urlVariables(urls, ['sts']),
  ])
  return (
    <>
      <Snippet text={variables} />
      <Snippet text="caracal run -- <your command>" />
      <p class="hint">
        The command starts with the credentials of this workload in its environment, and without these
        variables.
      </p>
    </>
  )
}
