"""Fixtures of the integration suite. Each program that a test starts must end as it should."""

from __future__ import annotations

import os
import resource
import threading
from collections.abc import Callable, Iterator

import programs
import pytest
import rawws


def pytest_configure() -> None:
    """Thousands of connections need descriptors, here and in the programs that inherit them."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    for name in list(os.environ):  # what wsrecv would heed
        if name.lower().endswith("_proxy") or name == "WSRECV_TOKEN":
            del os.environ[name]


@pytest.fixture
def start() -> Iterator[Callable[..., programs.Program]]:
    """start(make, ...) is make(...), a Program that is stopped and checked after the test."""
    started: list[programs.Program] = []

    def start_one(make: Callable[..., programs.Program], *args: object, **kwargs: object):
        program = make(*args, **kwargs)
        started.append(program)
        return program

    yield start_one
    errors = []
    for program in reversed(started):
        try:
            program.clean_up()
        except AssertionError as error:
            errors.append(error)
        print(f"--- {program.name} {program.pid} said:\n{program.stderr}", end="")
    if errors:
        raise errors[0]


@pytest.fixture
def wsbroadcastd(start) -> Callable[..., programs.Server]:
    """wsbroadcastd(option, ...) starts a server and waits until it listens."""
    return lambda *options, **how: start(programs.Server, *options, **how)


@pytest.fixture
def server(wsbroadcastd) -> programs.Server:
    """A server with default options."""
    return wsbroadcastd()


@pytest.fixture
def wsrecv(start) -> Callable[..., programs.Program]:
    """wsrecv(argument, ...) starts a listener."""
    return lambda *args, **how: start(programs.Program, [programs.WSRECV, *args], **how)


@pytest.fixture
def bash(start) -> Callable[..., programs.Program]:
    """bash(script, argument, ...) runs a script, in which $WSRECV is wsrecv."""

    def run(script: str, *args: str) -> programs.Program:
        script = f"WSRECV={programs.WSRECV}; {script}"
        return start(programs.Program, ["/bin/bash", "-c", script, "bash", *args])

    return run


class Bystanders:
    """Two well-behaved clients that talk all the time; neither may miss anything, ever."""

    def __init__(self, server: programs.Server) -> None:
        self.pair = [server.client(), server.client()]
        self.rounds = 0
        self._error: BaseException | None = None
        self._stopping = threading.Event()
        self._progress = threading.Condition()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self.wait_round()

    def _round(self, number: int) -> None:
        """Each says something; both hear both, in the same order."""
        said = [f"bystander {who} {number}" for who in (0, 1)]
        for client, text in zip(self.pair, said):
            client.send_text(text)
        heard: list[list[str | bytes]] = []
        for client in self.pair:
            mine: list[str | bytes] = []
            for _ in rawws.turns():
                message = client.recv_message()
                if str(message).startswith("Message: bystander "):
                    mine.append(message)
                if len(mine) == 2:
                    break
            heard.append(mine)
        assert heard[0] == heard[1]
        assert sorted(heard[0]) == [f"Message: {text}" for text in said]

    def _run(self) -> None:
        try:
            while not self._stopping.wait(0.001):  # a pace, so as not to take a whole core
                self._round(self.rounds)
                with self._progress:
                    self.rounds += 1
                    self._progress.notify_all()
        except BaseException as error:  # handed over to the test's own thread
            with self._progress:
                self._error = error
                self._progress.notify_all()

    def wait_round(self) -> None:
        """Wait until a round that has begun after now is over."""
        with self._progress:
            goal = self.rounds + 2
            done = self._progress.wait_for(
                lambda: self.rounds >= goal or self._error, 2 * rawws.TIMEOUT
            )
            if self._error:
                raise self._error
            assert done, "the bystanders are stuck"

    def finish(self) -> None:
        """They have noticed nothing, and go."""
        try:
            self.wait_round()
            self._stopping.set()
            self._thread.join(rawws.TIMEOUT)
            for client in self.pair:
                client.close()
        finally:
            self._stopping.set()
            for client in self.pair:
                client.disconnect()


@pytest.fixture
def bystanders(server) -> Iterator[Bystanders]:
    """Two clients that talk during the whole test; after it they must have missed nothing."""
    pair = Bystanders(server)
    yield pair
    pair.finish()


@pytest.fixture
def bystanders_of() -> Callable[[programs.Server], Bystanders]:
    """bystanders_of(server) are two of a server of the test's own; it calls finish()."""
    return Bystanders
