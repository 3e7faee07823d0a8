/** A list that grows while it is looked at: its newest page again and again, older ones on demand. */
import type { ComponentChildren } from 'preact'
import { useRef } from 'preact/hooks'
import { api, withQuery } from '../api.ts'
import { type Data, useData } from '../state/use-data.ts'
import { Async, Button } from './basics.tsx'

export const liveMs = 10_000
const pageSize = 200

interface Rows<T> {
  readonly rows: readonly T[]
  readonly hasOlder: boolean
}

export interface Feed<T> {
  readonly data: Data<Rows<T>>
  loadOlder(): void
}

/** `pathOf` is asked once for each round, so that all its pages are of the same query. */
export function useFeed<T>(key: string, pathOf: () => string, live = true): Feed<T> {
  const wanted = useRef({ key, pages: 1 })
  if (wanted.current.key !== key) wanted.current = { key, pages: 1 }
  const load = async (signal: AbortSignal): Promise<Rows<T>> => {
    const path = pathOf()
    const rows: T[] = []
    let cursor: string | null = null
    for (let page = 0; page < wanted.current.pages; page++) {
      const answer: Awaited<ReturnType<typeof api.page<T>>> = await api.page<T>(
        withQuery(path, { limit: pageSize, cursor }),
        signal,
      )
      rows.push(...answer.items)
      cursor = answer.next_cursor ?? null
      if (cursor === null) break
    }
    return { rows, hasOlder: cursor !== null }
  }
  const data = useData(key, load, live ? { refreshMs: liveMs } : {})
  return {
    data,
    loadOlder() {
      wanted.current.pages += 1
      data.reload()
    },
  }
}

interface FeedViewProps<T> {
  readonly feed: Feed<T>
  readonly children: (loaded: Rows<T>) => ComponentChildren
}

/** What is loaded of a feed, and the way to older rows below it. */
export function FeedView<T>({ feed, children }: FeedViewProps<T>) {
  return (
    <Async of={feed.data}>
      {(loaded) => (
        <>
          {children(loaded)}
          {loaded.hasOlder && (
            <p>
              <Button disabled={feed.data.loading} onClick={feed.loadOlder}>
                Load older
              </Button>
            </p>
          )}
        </>
      )}
    </Async>
  )
}
