// Text tables with aligned columns.

export interface Column<Row> {
  readonly title: string;
  readonly cell: (row: Row) => string;
  /** Default: numbers, to the right. */
  readonly align?: 'left' | 'right';
}

/** One line for the titles and one for each row. */
export function formatTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string[] {
  const grid = [
    columns.map(({ title }) => title),
    ...rows.map((row) => columns.map(({ cell }) => cell(row))),
  ];
  const widths = columns.map((_, i) => Math.max(...grid.map((cells) => cells[i]?.length ?? 0)));
  return grid.map((cells) => {
    const padded = cells.map((text, i) => {
      const width = widths[i] ?? 0;
      return columns[i]?.align === 'left' ? text.padEnd(width) : text.padStart(width);
    });
    return padded.join('  ').trimEnd();
  });
}
