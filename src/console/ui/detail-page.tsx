/** The page of one thing of a list: the way back, what can be done with it, and the end of it. */
import type { ComponentChildren } from 'preact'
import { api } from '../api.ts'
import { Link, navigate } from '../router.tsx'
import type { Data } from '../state/use-data.ts'
import { Async, Page } from './basics.tsx'
import { ConfirmButton } from './dialog.tsx'

export interface ListPlace {
  readonly to: string
  readonly title: string
}

interface DetailPageProps<T> {
  readonly title: string
  /** Where it is listed. */
  readonly list: ListPlace
  /** What kind of thing it is, behind the way back. */
  readonly about?: ComponentChildren
  readonly of: Data<T>
  /** Not there for who may do nothing with it, nor before it is loaded. */
  readonly actions?: false | ((value: T) => ComponentChildren)
  readonly children: (value: T) => ComponentChildren
}

export function DetailPage<T>({ title, list, about, of, actions, children }: DetailPageProps<T>) {
  const { value } = of
  return (
    <Page
      title={title}
      lead={
        <>
          <Link to={list.to}>← {list.title}</Link>
          {about !== undefined && <> · {about}</>}
        </>
      }
      actions={actions && value !== undefined && actions(value)}
    >
      <Async of={of}>{children}</Async>
    </Page>
  )
}

interface RemoveButtonProps {
  readonly action: 'Archive' | 'Delete'
  /** Of the question. */
  readonly title: string
  /** What is removed. */
  readonly path: string
  /** Where to go then. */
  readonly list: ListPlace
  /** What stops working. */
  readonly children: ComponentChildren
}

/** Removes what the page shows, and goes back to the list. */
export function RemoveButton({ path, list, ...asked }: RemoveButtonProps) {
  const remove = async () => {
    await api.remove(path)
    navigate(list.to)
  }
  return <ConfirmButton {...asked} onConfirm={remove} />
}
