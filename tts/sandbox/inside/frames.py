"""Length-prefixed frames over a blocking socket between two sides that trust each other."""

from __future__ import annotations

import socket
import struct

_HEADER = struct.Struct(">I")


def pack(payload: bytes) -> bytes:
    """Return `payload` as one frame."""
    return _HEADER.pack(len(payload)) + payload


def unpack(buffer: bytearray, limit: int) -> bytes | None:
    """Take the first whole frame off `buffer`; None where there is none yet. Raises ValueError beyond `limit`."""
    if len(buffer) < _HEADER.size:
        return None
    (length,) = _HEADER.unpack_from(buffer)
    if length > limit:
        raise ValueError(f"a frame of {length} bytes, at most {limit} are allowed")
    end = _HEADER.size + length
    if len(buffer) < end:
        return None
    payload = bytes(memoryview(buffer)[_HEADER.size : end])
    del buffer[:end]
    return payload


def send(connection: socket.socket, payload: bytes) -> None:
    """Write one frame."""
    connection.sendall(pack(payload))


def receive(connection: socket.socket) -> bytes:
    """Read one frame. Raises EOFError where the other side is gone."""
    (length,) = _HEADER.unpack(_exactly(connection, _HEADER.size))
    return _exactly(connection, length)


def _exactly(connection: socket.socket, length: int) -> bytes:
    data = bytearray()
    while len(data) < length:
        chunk = connection.recv(min(length - len(data), 2**20))
        if not chunk:
            raise EOFError("the other side is gone")
        data += chunk
    return bytes(data)
