from __future__ import annotations

from orchestrator.cli.check import draw, start_waves
from tests.unit.orchestrator.manifest.support import load


def test_the_order_of_start_is_drawn_in_waves(tmp_path):
    manifest = load(
        tmp_path,
        "[peers.web]\napp = 'm:W'\nreplicas = 2\ndepends_on = ['cache', 'load']\n"
        "[peers.cache]\napp = 'm:C'\n"
        "[peers.load]\napp = 'm:L'\nkind = 'job'\ndepends_on = ['cache']\n"
        "[peers.late]\napp = 'm:X'\ndepends_on = { load = 'completed' }\n",
    )
    waves = start_waves(manifest)
    assert waves == [["cache"], ["load"], ["web", "late"]]
    assert draw(manifest, waves).split("\n") == [
        "1. router (builtin)",
        "2. cache",
        "3. load (job)  after cache ready",
        "4. web x 2  after cache ready, load ready",
        "4. late  after load completed",
    ]
