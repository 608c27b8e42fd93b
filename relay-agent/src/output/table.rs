//! Rows in aligned columns, for lists a person reads.

use super::escape;
use super::style::{BOLD, paint};

/// Lines of a table: a header, then the rows. Cells are escaped; the last column is never padded.
pub(crate) fn lines<const N: usize>(header: [&str; N], rows: &[[String; N]]) -> Vec<String> {
    let rows: Vec<[String; N]> =
        rows.iter().map(|row| row.each_ref().map(|cell| escape::value(cell))).collect();
    let widths: [usize; N] = std::array::from_fn(|column| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([header[column].chars().count()]).max().unwrap_or(0)
    });
    let line = |cells: [&str; N]| {
        let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let head = paint(BOLD, &line(header));
    std::iter::once(head).chain(rows.iter().map(|row| line(row.each_ref().map(String::as_str)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_cells_are_escaped() {
        let rows = [["a".to_owned(), "1".to_owned()], ["long\x1b".to_owned(), String::new()]];
        let plain: Vec<_> =
            lines(["NAME", "N"], &rows).iter().map(|l| anstream::adapter::strip_str(l).to_string()).collect();
        assert_eq!(plain, ["NAME        N", "a           1", "long\\u{1b}"]);
    }
}
