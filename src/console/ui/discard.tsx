import { useEffect, useState } from 'preact/hooks'
import { Confirm } from './dialog.tsx'
import { askBeforeLeaving } from './entered.ts'

/** The one question before something typed is lost, over whatever page or dialog holds it. */
export function DiscardQuestion() {
  const [leave, setLeave] = useState<() => void>()
  useEffect(() => askBeforeLeaving((go) => setLeave(() => go)), [])
  if (leave === undefined) return null
  const discard = async () => {
    setLeave(undefined)
    // Drawn without the question by then: what it covers gives the focus back to where it was.
    await Promise.resolve()
    leave()
  }
  return (
    <Confirm
      title="Discard what you entered?"
      action="Discard"
      refuse="Keep editing"
      onConfirm={discard}
      onClose={() => setLeave(undefined)}
    >
      <p>It has not been sent.</p>
    </Confirm>
  )
}
