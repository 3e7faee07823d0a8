/** Rows of things. */
import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import { Button, Empty } from './basics.tsx'

export interface Column<T> {
  readonly title: string
  readonly cell: (row: T) => ComponentChildren
  readonly align?: 'right'
}

interface TableProps<T> {
  readonly rows: readonly T[]
  readonly columns: readonly Column<T>[]
  readonly keyOf: (row: T) => string
  /** Opens the row: by a click, or by Enter on it. */
  readonly onOpen?: (row: T) => void
  /** What to say, and what to do, when there is nothing. */
  readonly empty: ComponentChildren
  /** Text to search in; with it the table has a search field. */
  readonly textOf?: (row: T) => string
}

const shownAtOnce = 100

export function Table<T>({ rows, columns, keyOf, onOpen, empty, textOf }: TableProps<T>) {
  const [wanted, setWanted] = useState('')
  const [shown, setShown] = useState(shownAtOnce)
  if (rows.length === 0) return <Empty>{empty}</Empty>
  const word = wanted.trim().toLowerCase()
  const found = word === '' || !textOf ? rows : rows.filter((row) => textOf(row).toLowerCase().includes(word))
  return (
    <div class="table-frame">
      {textOf !== undefined && rows.length > 8 && (
        <input
          class="search"
          type="search"
          placeholder="Search"
          aria-label="Search"
          value={wanted}
          onInput={(event) => setWanted(event.currentTarget.value)}
        />
      )}
      <table>
        <thead>
          <tr>
            {columns.map(({ title, align }) => (
              <th key={title} scope="col" class={align ?? ''}>
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {found.slice(0, shown).map((row) => (
            <tr key={keyOf(row)} {...openable(onOpen && (() => onOpen(row)))}>
              {columns.map(({ title, cell, align }) => (
                <td key={title} class={align ?? ''}>
                  {cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {found.length === 0 && <Empty>Nothing with “{wanted}”.</Empty>}
      {found.length > shown && (
        <Button onClick={() => setShown(shown + shownAtOnce)}>Show more of {found.length}</Button>
      )}
    </div>
  )
}

function openable(open: (() => void) | undefined) {
  if (open === undefined) return {}
  return {
    class: 'openable',
    tabIndex: 0,
    onClick: (event: MouseEvent) => {
      // A button or a link within the row is meant, not the row.
      if (!(event.target as HTMLElement).closest('a,button,input')) open()
    },
    onKeyDown: (event: KeyboardEvent) => {
      if (event.key === 'Enter' && event.target === event.currentTarget) open()
    },
  }
}
