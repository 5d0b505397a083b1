"""Who comes later, or comes back, misses nothing: history, event IDs and the seam to what is new."""

from __future__ import annotations

import os

import pytest
import rawws
import seam

SEAM_SECONDS = float(os.environ.get("WS_SEAM_SECONDS", "2"))  # a minute, by hand
SEAM_CLIENTS = int(os.environ.get("WS_SEAM_CLIENTS", "40"))


@pytest.mark.parametrize(("target", "workers"), [("/ws", "1"), ("/ws/prices/eur", "2")])
def test_the_join_is_seamless(wsbroadcastd, target, workers):
    server = wsbroadcastd(
        "--prefix", "", "--history-bytes", "1M", "--max-lag", "0", "--ping-interval", "0", "-w", workers
    )
    seam.Crowd(server, target, SEAM_CLIENTS, SEAM_SECONDS, seed=len(target)).run()
