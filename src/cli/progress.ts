import type { Output } from './output.ts'

const firstMs = 1000
const againMs = 10_000

/**
 * Says on stderr what is going on while `work` takes longer than a second, and again every ten: stdout
 * belongs to what was asked for.
 */
export async function whileTelling<T>(out: Output, text: () => string, work: () => Promise<T>): Promise<T> {
  const tell = (): void => out.errorLine(`${text()} …`)
  let timer: NodeJS.Timeout = setTimeout(() => {
    tell()
    timer = setInterval(tell, againMs)
  }, firstMs)
  try {
    return await work()
  } finally {
    clearTimeout(timer)
  }
}
