//! Pages on narrow screens: a cell of a table names its column, so that a row can stand as a card; what scrolls can be focused.

/// A page whose tables and cards are ready for narrow screens and keyboards.
pub(crate) fn ready(page: &str) -> String {
    let mut out = String::with_capacity(page.len() * 9 / 8);
    let mut rest = page;
    while let Some(start) = rest.find("<table>") {
        let end = rest[start..].find("</table>").map_or(rest.len(), |end| start + end);
        out += &rest[..start];
        out += &labelled(&rest[start..end]);
        rest = &rest[end..];
    }
    (out + rest).replace("<div class=\"card\">", "<div class=\"card\" tabindex=\"0\">")
}

/// A table whose cells have the headings of their columns.
fn labelled(table: &str) -> String {
    let Some((head, body)) = table.split_once("</tr>") else { return table.to_owned() };
    let label =
        |cell: &str| cell.split_once('>').map_or("", |(_, text)| text).split('<').next().unwrap_or("").to_owned();
    let labels: Vec<String> = head.split("<th").skip(1).map(label).collect();
    let mut out = format!("{head}</tr>");
    for (number, row) in body.split("<tr").enumerate() {
        out += if number > 0 { "<tr" } else { "" };
        for (column, cell) in row.split("<td").enumerate() {
            match column.checked_sub(1).and_then(|column| labels.get(column)) {
                Some(label) => out += &format!("<td data-label=\"{label}\"{cell}"),
                None if column > 0 => out += &format!("<td{cell}"),
                None => out += cell,
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_names_its_column_and_a_card_can_be_focused() {
        let page = "<div class=\"card\"><table><tr><th>Name<th class=\"n\">Count</tr><tr id=\"a\"><td>x<td class=\"n\">1</tr></table></div><p>";
        let expected = "<div class=\"card\" tabindex=\"0\"><table><tr><th>Name<th class=\"n\">Count</tr><tr id=\"a\">\
                        <td data-label=\"Name\">x<td data-label=\"Count\" class=\"n\">1</tr></table></div><p>";
        assert_eq!(ready(page), expected);
        assert_eq!(ready("<p>no table</p>"), "<p>no table</p>");
    }
}
