/**
 * What a process still holds after each full collection, told by the process itself: resident memory
 * says how much a heap was allowed to grow, this says whether something is kept for ever.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const source = `
import { appendFileSync } from 'node:fs'
import { constants, PerformanceObserver } from 'node:perf_hooks'
import { threadId } from 'node:worker_threads'
const file = process.env.SOAK_LIVE_HEAP_FILE
new PerformanceObserver((list) => {
  if (list.getEntries().some(({ detail }) => detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR))
    appendFileSync(file, Date.now() + ' ' + process.memoryUsage().heapUsed + ' ' + threadId + '\\n')
}).observe({ entryTypes: ['gc'] })
`

export interface LiveHeap {
  /** Variables under which a Node process keeps the record. */
  readonly env: Readonly<Record<string, string>>
  /** After each full collection of one of the process's heaps. */
  samples(): HeapSample[]
}

export interface HeapSample {
  /** `Date.now()` */
  readonly at: number
  readonly bytes: number
  /** 0 is the heap of the process, the others those of its threads. */
  readonly thread: number
}

export function createLiveHeap(directory: string, name: string): LiveHeap {
  const module = join(directory, 'live-heap.mjs')
  const file = join(directory, `${name}.live-heap`)
  writeFileSync(module, source)
  writeFileSync(file, '')
  return {
    env: { NODE_OPTIONS: `--import ${module}`, SOAK_LIVE_HEAP_FILE: file },
    samples: () =>
      readFileSync(file, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => {
          const [at = 0, bytes = 0, thread = 0] = line.split(' ').map(Number)
          return { at, bytes, thread }
        }),
  }
}
