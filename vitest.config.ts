import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/load/**'],
    globalSetup: ['test/fixtures/global-setup.ts'],
    testTimeout: 20_000,
    // A shared runner can starve a test that waits for another process; a real defect fails twice.
    retry: process.env.CI ? 1 : 0,
    hookTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 2,
  },
})
