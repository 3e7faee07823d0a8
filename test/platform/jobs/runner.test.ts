import pino from 'pino'
import { Registry } from 'prom-client'
import { describe, expect, test } from 'vitest'
import { createJobRunner } from '../../../src/platform/jobs/runner.ts'
import { until } from '../bus/until.ts'

const log = pino({ level: 'silent' })

describe('periodic jobs', () => {
  test('a job never overlaps itself, and begins at once only when it asks to', async () => {
    await using runner = createJobRunner({ log })
    let running = 0
    let most = 0
    let runs = 0
    let later = 0
    runner.start([
      {
        name: 'slow',
        intervalMs: 1,
        immediate: true,
        async run() {
          running += 1
          runs += 1
          most = Math.max(most, running)
          await new Promise((resolve) => setTimeout(resolve, 20))
          running -= 1
        },
      },
      {
        name: 'later',
        intervalMs: 60_000,
        async run() {
          later += 1
        },
      },
    ])
    expect(runs).toBe(1)
    await until('some runs', () => runs >= 4)
    expect(most).toBe(1)
    expect(later).toBe(0)
  })

  test('a failure is logged by name, counted, and tried again', async () => {
    const lines: string[] = []
    const metrics = new Registry()
    await using runner = createJobRunner({
      log: pino({ level: 'error' }, { write: (line: string) => void lines.push(line) }),
      metrics,
    })
    let runs = 0
    runner.start([
      {
        name: 'flaky',
        intervalMs: 1,
        immediate: true,
        async run() {
          runs += 1
          if (runs === 1) throw new Error('first time')
        },
      },
    ])
    await until('ran again', () => runs >= 3)
    expect(lines.filter((line) => line.includes('"flaky_failed"'))).toHaveLength(1)
    expect(await metrics.metrics()).toContain('caracal_job_failures_total{job="flaky"} 1')
  })

  test('stopping aborts in reverse order and waits for what runs', async () => {
    const runner = createJobRunner({ log })
    const ended: string[] = []
    const job = (name: string) => ({
      name,
      intervalMs: 1000,
      immediate: true,
      run: ({ signal }: { signal: AbortSignal }) =>
        new Promise<void>((resolve) => {
          signal.addEventListener('abort', () => {
            ended.push(name)
            setTimeout(resolve, 20)
          })
        }),
    })
    runner.start([job('first'), job('second')])
    expect(await runner.stop()).toEqual([])
    expect(ended).toEqual(['second', 'first'])
  })

  test('a job that does not end is named, and not waited for beyond the bound', async () => {
    const runner = createJobRunner({ log, stopTimeoutMs: 30 })
    runner.start([
      { name: 'stuck', intervalMs: 1, immediate: true, run: () => new Promise<void>(() => undefined) },
    ])
    expect(await runner.stop()).toEqual(['stuck'])
  })
})
