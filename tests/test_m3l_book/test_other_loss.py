"""Another loss in a page's cell is the one that the page trains with."""

import re

import nbformat
import pytest

from m3l_book import chapter, execute

PAGE = chapter.project_root() / "book" / "03-model.ipynb"


def scores(path):
    """The numbers of the page's last table, a row per objective."""
    about = "Mean reciprocal rank of test tuples in the small world"
    for cell in nbformat.read(path, as_version=4).cells:
        for output in cell.get("outputs", []):
            html = output.get("data", {}).get("text/html", "")
            if about in html:
                rows = re.findall(r"<tr>(.*?)</tr>", html, re.S)
                return [re.findall(r"<td[^>]*>([\d.]+)</td>", row) for row in rows if "<td" in row]
    raise AssertionError(f"{path}: no such table")


@pytest.mark.thorough
def test_a_loss_that_is_put_into_the_page_is_the_one_that_it_trains_with(tmp_path):
    book = nbformat.read(PAGE, as_version=4)
    (triplet,) = [cell for cell in book.cells if cell.source.startswith("def triplet(")]
    (contrast,) = [cell for cell in book.cells if cell.source.startswith("def info_nce(")]
    contrast.source = triplet.source.replace("def triplet(", "def info_nce(")
    nbformat.write(book, tmp_path / "03-model.ipynb")
    found = {}
    for name, path in (("book", PAGE), ("other", tmp_path / "03-model.ipynb")):
        execute.execute(path, tmp_path / f"{name}.ipynb", {})
        found[name] = scores(tmp_path / f"{name}.ipynb")
    assert len(found["book"]) == 5 and all(len(row) == 3 for row in found["book"])
    table = [[float(number) for number in row] for row in found["book"]]
    assert all(score > 4 * row[2] for row in table[:4] for score in row[:2])
    assert all(score < 2.5 * table[4][2] for score in table[4][:2]), "reconstruction alone"
    assert found["book"][0] != found["other"][0], "trained with the contrast of the page"
    without = [[float(number) for number in page[-1]] for page in found.values()]
    assert without[0] == pytest.approx(without[1], abs=0.02), "there the contrast has no weight"
