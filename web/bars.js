/** Rows of a table: what, a bar, and the probability in per cent. */
export function barRows(predictions) {
  return predictions.map(({ index, label, probability }) => {
    const row = document.createElement('tr');
    const head = document.createElement('th');
    head.scope = 'row';
    head.textContent = label ?? `class ${index}`;
    const bar = document.createElement('td');
    const meter = document.createElement('meter');
    meter.value = probability;
    // The number beside it says the same.
    meter.setAttribute('aria-hidden', 'true');
    bar.append(meter);
    const percent = document.createElement('td');
    percent.textContent = `${(100 * probability).toFixed(1)}%`;
    row.append(head, bar, percent);
    return row;
  });
}
