"""The handshake: the stdlib's of every version is understood, and no stranger gets past or holds it up."""

import hmac
import threading
import time
from collections.abc import Callable
from multiprocessing import AuthenticationError
from multiprocessing import connection as std
from typing import Any

import pytest

from procession import Pipe, _handshake

KEY = b"the key"
OLD = b"x" * 20
"""A challenge as 3.11 sends it."""


class Side(threading.Thread):
    """One end's part of a handshake, in a thread."""

    def __init__(self, function: Callable[..., None], *args: Any) -> None:
        super().__init__(daemon=True)
        self.function, self.args = function, args
        self.error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            self.function(*self.args)
        except Exception as error:  # noqa: BLE001 - it is the outcome
            self.error = error

    def outcome(self) -> Exception | None:
        self.join()
        return self.error


@pytest.mark.parametrize("delivers", [_handshake.deliver_challenge, std.deliver_challenge])
@pytest.mark.parametrize("answers", [_handshake.answer_challenge, std.answer_challenge])
def test_either_end_may_be_the_stdlibs(delivers: Any, answers: Any) -> None:
    a, b = Pipe()
    with a, b:
        side = Side(delivers, a, KEY)
        answers(b, KEY)
        assert side.outcome() is None


@pytest.mark.parametrize("delivers", [_handshake.deliver_challenge, std.deliver_challenge])
@pytest.mark.parametrize("answers", [_handshake.answer_challenge, std.answer_challenge])
def test_another_key_is_refused(delivers: Any, answers: Any) -> None:
    a, b = Pipe()
    with a, b:
        side = Side(delivers, a, KEY)
        with pytest.raises(AuthenticationError, match="rejected"):
            answers(b, b"another")
        assert isinstance(side.outcome(), AuthenticationError)


def test_an_old_client_answers_by_md5_without_a_name() -> None:
    a, b = Pipe()
    with a, b:
        side = Side(_handshake.deliver_challenge, a, KEY)
        challenge = b.recv_bytes().removeprefix(b"#CHALLENGE#")
        b.send_bytes(hmac.digest(KEY, challenge, "md5"))
        assert b.recv_bytes() == b"#WELCOME#"
        assert side.outcome() is None


def test_an_old_server_gets_md5_without_a_name() -> None:
    a, b = Pipe()
    with a, b:
        side = Side(_handshake.answer_challenge, a, KEY)
        b.send_bytes(b"#CHALLENGE#" + OLD)
        assert b.recv_bytes() == hmac.digest(KEY, OLD, "md5")
        b.send_bytes(b"#WELCOME#")
        assert side.outcome() is None


@pytest.mark.parametrize("name", ["md5", "sha256", "sha384", "sha3_256", "sha3_384"])
def test_the_digest_that_is_asked_for_is_used(name: str) -> None:
    a, b = Pipe()
    with a, b:
        side = Side(_handshake.answer_challenge, a, KEY)
        challenge = b"{%s}" % name.encode() + b"n" * 40
        b.send_bytes(b"#CHALLENGE#" + challenge)
        assert b.recv_bytes() == b"{%s}" % name.encode() + hmac.digest(KEY, challenge, name)
        b.send_bytes(b"#WELCOME#")
        assert side.outcome() is None


@pytest.mark.parametrize(
    "challenge",
    [
        b"",
        b"no challenge",
        b"#CHALLENGE#",
        b"#CHALLENGE#short",
        b"#CHALLENGE#{sha1}" + OLD,
        b"#CHALLENGE#{" + OLD,
    ],
)
def test_no_challenge_is_no_challenge(challenge: bytes) -> None:
    a, b = Pipe()
    with a, b:
        b.send_bytes(challenge)
        with pytest.raises(AuthenticationError):
            _handshake.answer_challenge(a, KEY)


@pytest.mark.parametrize(
    "answer", [b"", b"x", b"{sha1}xx", b"{md5}short", b"{md5" * 9, b"\0" * 16, b"{" * 256]
)
def test_a_wrong_answer_is_refused(answer: bytes) -> None:
    a, b = Pipe()
    with a, b:
        side = Side(_handshake.deliver_challenge, a, KEY)
        b.recv_bytes()
        b.send_bytes(answer)
        assert isinstance(side.outcome(), AuthenticationError)


@pytest.mark.parametrize("head", [b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff", b"\x80\0\0\0", b"\0\0\x01\x01"])
def test_a_message_of_another_length_is_refused_unread(head: bytes) -> None:
    import os

    a, b = Pipe()
    with a, b:
        os.write(b.fileno(), head)
        with pytest.raises(AuthenticationError, match="at most 256"):
            _handshake.answer_challenge(a, KEY)


@pytest.mark.parametrize("said", [b"", b"\0\0", b"\0\0\0\x20", b"\0\0\0\x20{sha"])
def test_who_says_nothing_or_half_is_refused_in_time(said: bytes) -> None:
    import os

    a, b = Pipe()
    with a, b:
        os.write(b.fileno(), said) if said else None
        with pytest.raises(AuthenticationError, match="too slow"):
            _handshake.deliver_challenge(a, KEY, time.monotonic() + 0.1)


def test_who_dribbles_is_refused_too() -> None:
    import os

    a, b = Pipe()
    stop = threading.Event()

    def dribble() -> None:
        os.write(b.fileno(), b"\0\0\0\x20")
        while not stop.wait(0.02):
            os.write(b.fileno(), b"x")

    with a, b:
        dribbler = threading.Thread(target=dribble)
        dribbler.start()
        with pytest.raises(AuthenticationError, match="too slow"):
            _handshake.deliver_challenge(a, KEY, time.monotonic() + 0.3)
        stop.set()
        dribbler.join()


def test_who_goes_is_noticed() -> None:
    a, b = Pipe()
    with a:
        b.close()
        with pytest.raises(EOFError):
            _handshake.answer_challenge(a, KEY)


def test_the_key_is_in_no_message() -> None:
    a, b = Pipe()
    with a, b:
        side = Side(_handshake.deliver_challenge, a, KEY)
        assert KEY not in b.recv_bytes()
        b.send_bytes(b"{sha256}" + b"0" * 32)
        assert KEY not in b.recv_bytes()
        assert KEY.decode() not in str(side.outcome())
