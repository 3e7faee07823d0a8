import { defineConfig } from 'drizzle-kit'

// `npm run db:generate -- --name=<what_changes>` writes the next file; rename it to
// `.up.sql` (the runner reads nothing else) and add by hand what Drizzle cannot say.
// `--custom` starts an empty file for triggers, policies, functions and grants.
export default defineConfig({
  dialect: 'postgresql',
  schema: './src/platform/db/schema/index.ts',
  out: './drizzle',
})
