import { Badge, type Tone } from '../../ui/basics.tsx'
import { Table } from '../../ui/table.tsx'
import type { CheckResult } from './report.ts'

const standings: Readonly<Record<CheckResult['status'], readonly [Tone, string]>> = {
  ok: ['ok', 'well'],
  warn: ['warn', 'look at it'],
  fail: ['bad', 'fails'],
}

export function CheckTable({ checks }: { readonly checks: readonly CheckResult[] }) {
  return (
    <Table
      rows={checks}
      keyOf={(check) => `${check.check} ${check.detail}`}
      empty="Nothing was checked."
      columns={[
        {
          title: 'Status',
          cell: ({ status }) => {
            const [tone, said] = standings[status]
            return <Badge tone={tone}>{said}</Badge>
          },
        },
        { title: 'Check', cell: ({ check }) => check },
        {
          title: 'Detail',
          cell: ({ detail, advice }) => (
            <>
              {detail}
              {advice !== undefined && (
                <div>
                  <strong>{advice}</strong>
                </div>
              )}
            </>
          ),
        },
      ]}
    />
  )
}
