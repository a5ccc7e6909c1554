"""What a terminal shows while files are read."""

import io
import re
import time

from rich.console import Console

from weighbridge.progress import ProgressBars


def test_reading_shows_how_many_how_fast_and_how_long():
    out = io.StringIO()
    with ProgressBars(Console(file=out, force_terminal=True, width=80)) as bars:
        show = bars.reading("source")
        show(20_000, 0)  # still searching
        time.sleep(0.4)
        assert "20000/?" in out.getvalue()
        show(0, 5_000)
        time.sleep(0.3)
        show(500, 5_000)
        time.sleep(0.3)
        show(1_000, 5_000)
        time.sleep(0.4)
    text = out.getvalue()
    assert "reading source" in text
    assert "1000/5000" in text
    rate = int(text.split(" files/s")[0].split(" ")[-1].replace(",", ""))
    assert 500 < rate < 2_000  # 1,000 files in 0.6 seconds and a little
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)
    assert re.search(r" files/s 00:0\d", plain)  # 4,000 files to go, some seconds


def test_what_is_read_leaves_nothing_behind():
    out = io.StringIO()
    with ProgressBars(Console(file=out, force_terminal=True, width=80)) as bars:
        bars.reading("source")(7, 7)
        time.sleep(0.3)
    assert "reading" not in out.getvalue()
