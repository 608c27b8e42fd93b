// Lines that differ between two texts: longest common subsequence within bounds. Past the bounds the middle is shown as
// all removed and all added, which is true, if not short.

/** Cells of the table; 2 million of 16 bits are 4 MB and take some 20 ms. */
const CELLS_MAX = 2_000_000;

/** `[{sign: " " | "-" | "+", left, right}]`, the texts of each line where it is there. */
export function diff(before, after) {
  let start = 0;
  while (start < before.length && start < after.length && before[start] === after[start]) start += 1;
  let end = 0;
  while (end < before.length - start && end < after.length - start && before.at(-1 - end) === after.at(-1 - end)) end += 1;
  const same = (line) => ({ sign: " ", left: line, right: line });
  const left = before.slice(start, before.length - end);
  const right = after.slice(start, after.length - end);
  return [...before.slice(0, start).map(same), ...middle(left, right), ...before.slice(before.length - end).map(same)];
}

function middle(left, right) {
  const removed = (line) => ({ sign: "-", left: line, right: null });
  const added = (line) => ({ sign: "+", left: null, right: line });
  if ((left.length + 1) * (right.length + 1) > CELLS_MAX) return [...left.map(removed), ...right.map(added)];
  const width = right.length + 1;
  const table = new Uint16Array((left.length + 1) * width);
  for (let i = left.length - 1; i >= 0; i -= 1) {
    for (let j = right.length - 1; j >= 0; j -= 1) {
      table[i * width + j] = left[i] === right[j]
        ? table[(i + 1) * width + j + 1] + 1
        : Math.max(table[(i + 1) * width + j], table[i * width + j + 1]);
    }
  }
  const out = [];
  let i = 0;
  let j = 0;
  while (i < left.length && j < right.length) {
    if (left[i] === right[j]) {
      out.push({ sign: " ", left: left[i], right: right[j] });
      i += 1;
      j += 1;
    } else if (table[(i + 1) * width + j] >= table[i * width + j + 1]) {
      out.push(removed(left[i]));
      i += 1;
    } else {
      out.push(added(right[j]));
      j += 1;
    }
  }
  return [...out, ...left.slice(i).map(removed), ...right.slice(j).map(added)];
}

/** Only what differs, with `around` lines before and after; `null` stands for lines left out. */
export function hunks(lines, around = 3) {
  const keep = new Set();
  lines.forEach(({ sign }, at) => {
    if (sign === " ") return;
    for (let i = at - around; i <= at + around; i += 1) keep.add(i);
  });
  const out = [];
  lines.forEach((line, at) => {
    if (keep.has(at)) out.push(line);
    else if (out.at(-1) !== null) out.push(null);
  });
  return out;
}
