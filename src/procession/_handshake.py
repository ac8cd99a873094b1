"""The handshake by which two ends of a connection prove to each other that they have the same key.

What goes over the wire is the stdlib's, of every version: since 3.12 a challenge names the digest
that it wants in braces, and who reads no braces answers by MD5 over all of it, as 3.11 does.  The key
itself never travels, keys are compared in constant time, nothing is unpickled, and a peer that
dawdles or sends too much is refused, whatever it sends and however slowly.

Used by the managers' server and by listeners; the first two functions go with any connection that has a
``fileno``.
"""

from __future__ import annotations

import hmac
import os
import select
import struct
import time
from collections.abc import Generator
from multiprocessing import AuthenticationError
from typing import Any

__all__ = ["FAILURE", "answer_challenge", "body", "deliver_challenge", "missing", "script"]

_CHALLENGE = b"#CHALLENGE#"
_WELCOME = b"#WELCOME#"
FAILURE = b"#FAILURE#"
_WRONG = "digest received was wrong: the other end has another authkey"
_REJECTED = "digest sent was rejected: the other end has another authkey"

_DIGESTS = {name.encode(): name for name in ("md5", "sha256", "sha384", "sha3_256", "sha3_384")}
_OURS = "sha256"
_NONCE = 40  # more than the 20 bytes by which a challenge of 3.11 is known
_OLD_CHALLENGE = 20
_OLD_ANSWER = 16

_LONGEST = 256
_HEAD = struct.Struct("!i")


def deliver_challenge(conn: Any, authkey: bytes, deadline: float | None = None) -> None:
    """Have the other end prove that it knows `authkey`.

    `deadline`: on the clock of `time.monotonic`; None waits for ever.  Raises AuthenticationError if
    the other end has another key, speaks otherwise or is too slow; EOFError and OSError if it goes.
    """
    message = _new_challenge()
    conn.send_bytes(_CHALLENGE + message)
    if _is_right(authkey, message, _receive(conn.fileno(), deadline)):
        conn.send_bytes(_WELCOME)
        return
    conn.send_bytes(FAILURE)
    raise AuthenticationError(_WRONG)


def answer_challenge(conn: Any, authkey: bytes, deadline: float | None = None) -> None:
    """Prove to the other end that we know `authkey`; the rest as for `deliver_challenge`."""
    message = _receive(conn.fileno(), deadline)
    if not message.startswith(_CHALLENGE):
        raise AuthenticationError("the other end sent no challenge")
    conn.send_bytes(_answer(authkey, message.removeprefix(_CHALLENGE)))
    if _receive(conn.fileno(), deadline) != _WELCOME:
        raise AuthenticationError(_REJECTED)


def script(authkey: bytes) -> Generator[bytes, bytes, None]:
    """`deliver_challenge`, then `answer_challenge`, for who does the sending and receiving itself.

    Yields what is to be sent and is sent the next message of the other end; ends where both have
    proved it.  Raises AuthenticationError where one did not; then FAILURE is to be sent.
    """
    message = _new_challenge()
    if not _is_right(authkey, message, (yield _CHALLENGE + message)):
        raise AuthenticationError(_WRONG)
    challenge = yield _WELCOME
    if not challenge.startswith(_CHALLENGE):
        raise AuthenticationError("the other end sent no challenge")
    if (yield _answer(authkey, challenge.removeprefix(_CHALLENGE))) != _WELCOME:
        raise AuthenticationError(_REJECTED)


def missing(came: bytes) -> int:
    """Bytes that are missing of a message of which so much came; AuthenticationError if it is too long."""
    if len(came) < _HEAD.size:
        return _HEAD.size - len(came)
    return _HEAD.size + _size(came[: _HEAD.size]) - len(came)


def body(came: bytes) -> bytes:
    """What a whole message says."""
    return came[_HEAD.size :]


def _new_challenge() -> bytes:
    return b"{%s}%s" % (_OURS.encode(), os.urandom(_NONCE))


# ---- answers -------------------------------------------------------------------------------


def _answer(authkey: bytes, message: bytes) -> bytes:
    if len(message) < _OLD_CHALLENGE:
        raise AuthenticationError(f"the challenge is too short: {len(message)} bytes")
    if len(message) == _OLD_CHALLENGE:
        return hmac.digest(authkey, message, "md5")
    name = _named(message)
    return b"{%s}%s" % (name, hmac.digest(authkey, message, _DIGESTS[name]))


def _is_right(authkey: bytes, message: bytes, answer: bytes) -> bool:
    name, said = b"md5", answer
    if len(answer) != _OLD_ANSWER:
        name = _named(answer)
        said = answer[len(name) + 2 :]
    return hmac.compare_digest(hmac.digest(authkey, message, _DIGESTS[name]), said)


def _named(message: bytes) -> bytes:
    """The digest in the braces before a message."""
    name, brace, _ = message[1:].partition(b"}")
    if message[:1] != b"{" or not brace or name not in _DIGESTS:
        raise AuthenticationError("the other end asks for a digest that is unknown here")
    return name


# ---- messages, by a deadline ---------------------------------------------------------------


def _receive(fd: int, deadline: float | None) -> bytes:
    return _exactly(fd, _size(_exactly(fd, _HEAD.size, deadline)), deadline)


def _size(head: bytes) -> int:
    (size,) = _HEAD.unpack(head)
    if not 0 <= size <= _LONGEST:
        raise AuthenticationError(f"the other end sent a message of {size} bytes, at most {_LONGEST} are due")
    return int(size)


def _exactly(fd: int, size: int, deadline: float | None) -> bytes:
    data = b""
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    while len(data) < size:
        left = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
        if not poller.poll(left):
            raise AuthenticationError("the other end was too slow to prove that it has the key")
        part = os.read(fd, size - len(data))
        if not part:
            raise EOFError("the other end has gone in the middle of the handshake")
        data += part
    return data
