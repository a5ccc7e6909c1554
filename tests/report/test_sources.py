"""One source against another."""

import pytest

from report.made import shows_something
from weighbridge.errors import RunFolderError
from weighbridge.report.comparison_figures import sources_figure
from weighbridge.report.results import read_results
from weighbridge.report.sources import sources_markdown, sources_table


def test_sources_against_each_other_seed_by_seed(grid, tmp_path):
    table = sources_table(read_results(grid))
    assert (table.target, table.evaluation, table.images) == ("photos", "photos", 400)
    text = sources_markdown(table)
    assert "| realtime | 52.0 ± 2.0 | 62.0 ± 2.0 | 72.0 ± 2.0 | - |" in text
    assert "| both | +10.0 [+10.0, +10.0] | +10.0 [+10.0, +10.0] | +10.0 [+10.0, +10.0] | - |" in text
    # mean accuracy (52 + 62 + 72 + 62 + 72 + 82) / 6 = 67 %, 1.96 * sqrt(0.67 * 0.33 / 400) = 4.61 %
    choice = "whose choice alone gives a 95 % interval of at least ±4.6 points"
    assert f"on photos (400 images, {choice}), target photos: mean ± standard deviation over" in text
    assert "\n- both: 90 source images, 9 more held out; 80 target images\n" in text
    assert text.endswith("l\n\nSeeds 0, 1, 2; made by\n\n```\nc\n```\n")
    assert shows_something(sources_figure(table), tmp_path / "f.png")
    assert "30.0 ± 0.0" in sources_markdown(sources_table(read_results(grid), evaluation="other"))
    with pytest.raises(RunFolderError, match=r"there is no target 'photo'. Did you mean 'photos'"):
        sources_table(read_results(grid), "photo")
