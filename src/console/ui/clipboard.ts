/** Puts text on the clipboard. */

export async function copied(text: string): Promise<boolean> {
  // Pages that came over http from another machine have none.
  if (navigator.clipboard === undefined) return copiedBySelection(text)
  return navigator.clipboard.writeText(text).then(
    () => true,
    () => copiedBySelection(text),
  )
}

/** The older way, which every page has in the course of a click. */
function copiedBySelection(text: string): boolean {
  const focused = document.activeElement
  // Outside of an open dialog nothing can be selected.
  const place = focused?.closest('dialog') ?? document.body
  const field = document.createElement('textarea')
  field.value = text
  place.append(field)
  field.select()
  const done = document.execCommand('copy')
  field.remove()
  if (focused instanceof HTMLElement) focused.focus()
  return done
}
