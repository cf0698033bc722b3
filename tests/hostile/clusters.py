"""A cluster of Ray on this machine, whose nodes come and go."""

import os
import random
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.hostile.experiments import children_of, environment
from tl_keras.engine.ray_workers import termination_kept

# Of one node; Ray takes no less.
_STORE_BYTES = 100 * 2**20
# What Ray names the process of an actor of the package, whatever it does.
_ACTOR = "ray::_Carrier"


class Cluster:
    """A head that makes no runs, and nodes with room for one worker each.

    Attributes:
        nodes: without the head.
    """

    def __init__(self) -> None:
        """Start the head."""
        from ray import cluster_utils

        head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": _STORE_BYTES}
        with termination_kept():
            self._ray = cluster_utils.Cluster(initialize_head=True, head_node_args=head)
        self.nodes: list[Any] = []

    @property
    def address(self) -> str:
        """For drivers."""
        return str(self._ray.address)

    def add(self, count: int = 1) -> None:
        """Let nodes join."""
        with termination_kept():
            for _ in range(count):
                node = self._ray.add_node(num_cpus=1, object_store_memory=_STORE_BYTES)
                self.nodes.append(node)

    def remove(self, node: Any) -> None:
        """Take one away as a power cut does, with all its processes."""
        self.nodes.remove(node)
        self._ray.remove_node(node, allow_graceful=False)

    def actors(self) -> list[int]:
        """Processes of workers of all nodes."""
        return [child for child in children_of(os.getpid()) if _is_actor(child)]

    def kill_one(self, chance: random.Random) -> bool:
        """End one worker's process; whether there was one."""
        with suppress(IndexError, ProcessLookupError):
            os.kill(chance.choice(self.actors()), signal.SIGKILL)
            return True
        return False

    def close(self) -> None:
        """End it."""
        self._ray.shutdown()


@contextmanager
def cluster(nodes: int) -> Iterator[Cluster]:
    """A cluster, in whose processes the package is found and has one thread.

    Args:
        nodes: beside the head.
    """
    given = {"PYTHONPATH": os.pathsep.join(sys.path), "RAY_USAGE_STATS_ENABLED": "0"}
    with patch.dict(os.environ, environment() | given):
        made = Cluster()
        try:
            made.add(nodes)
            yield made
        finally:
            made.close()


def _is_actor(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/cmdline").read_text().startswith(_ACTOR)
    except OSError:
        return False
