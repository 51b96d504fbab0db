"""The floor plan in the documentation: drawn from the code, and a false arrow is seen."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import draw_ways
import pytest
from markers import MarkerError, render, rooms, ways
from markers.ways import WAYS, Place, Way


@pytest.mark.parametrize("name", WAYS)
def test_every_place_exists_and_every_arrow_has_code_behind_it(name):
    assert list(ways.faults(WAYS[name])) == []
    assert len([place for place in WAYS[name].places.values() if ":" in place.name]) > 15
    assert {key for pair in WAYS[name].arrows for key in pair} == set(WAYS[name].places)


@pytest.mark.parametrize("name", WAYS)
def test_the_picture_is_of_this_way(name):
    root = ET.parse(ways.IMAGES / f"way-{name}.svg").getroot()
    assert ways.digest(WAYS[name]) in "".join(root.itertext())
    drawn = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    for place in WAYS[name].places.values():
        assert {*place.name.split(":"), place.words} <= set(drawn)
    assert render(f"{{{{ way:{name} }}}}").endswith(f"(img/way-{name}.svg)")


def test_an_old_picture_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(ways, "IMAGES", tmp_path)
    with pytest.raises(MarkerError, match=r"draw_ways\.py"):
        render("{{ way:passage }}")
    draw_ways.draw("passage", WAYS["passage"], tmp_path)
    render("{{ way:passage }}")
    changed = WAYS["passage"]._replace(arrows=WAYS["passage"].arrows[1:])
    monkeypatch.setitem(WAYS, "passage", changed)
    with pytest.raises(MarkerError, match="old"):
        render("{{ way:passage }}")


@pytest.mark.parametrize(
    ("start", "end", "fault"),
    [
        ("ranking.exact:ranks_and_top", "ranking.nowhere:x", "ranking.nowhere:x does not exist"),
        ("ranking.exact:ranks_and_top", "ranking.exact:x", "ranking.exact:x does not exist"),
        ("adapters.mteb.pool:ShardPool.x", "files:tie_key", "ShardPool.x does not exist"),
        ("ranking.exact:ranks_and_top", "encoders.cache:EmbeddingStore", "names the other"),
        ("adapters.mteb.pool:ShardPool.rank", "ranking.exact:ranks_and_top", "names the other"),
        ("ranking.exact:cores", "ranking.exact:check_scores", "names the other"),
    ],
)
def test_what_is_not_so_is_seen(start, end, fault):
    way = Way("", {"a": Place(start, "", 0, 0), "b": Place(end, "", 0, 1)}, (("a", "b"),))
    (found,) = ways.faults(way)
    assert fault in found


def test_layers_and_rooms_are_those_of_the_layer_test(monkeypatch):
    lines = render("{{ layers }}").splitlines()[1:-1]
    assert lines[0] == "__main__"
    assert {"errors", "files", "paths"} <= set(lines[-1].split(" | "))
    table = render("{{ rooms }}")
    for room in (room for line in lines for room in line.split(" | ")):
        assert re.search(rf"^\| `{room}(/|\.py)` \| \S", table, re.MULTILINE), room
    monkeypatch.setattr(rooms, "constant_of_test", lambda _: (("files",),))
    with pytest.raises(MarkerError, match="differ"):
        render("{{ layers }}")
