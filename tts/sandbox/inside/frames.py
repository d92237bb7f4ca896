"""Length-prefixed frames over a blocking socket between two sides that trust each other."""

from __future__ import annotations

import socket
import struct

_HEADER = struct.Struct(">I")


def pack(payload: bytes) -> bytes:
    """Return `payload` as one frame."""
    return _HEADER.pack(len(payload)) + payload


def length(buffer: bytes | bytearray) -> int:
    """Return the length that the first frame in `buffer` announces; its header must be there."""
    return int(_HEADER.unpack_from(buffer)[0])


def unpack(buffer: bytearray, limit: int) -> bytes | None:
    """Take the first whole frame off `buffer`; None where there is none yet. Raises ValueError beyond `limit`."""
    if len(buffer) < _HEADER.size:
        return None
    if length(buffer) > limit:
        raise ValueError(f"a frame of {length(buffer)} bytes, at most {limit} are allowed")
    end = _HEADER.size + length(buffer)
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
    return _exactly(connection, length(_exactly(connection, _HEADER.size)))


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        chunk = connection.recv(min(size - len(data), 2**20))
        if not chunk:
            raise EOFError("the other side is gone")
        data += chunk
    return bytes(data)
