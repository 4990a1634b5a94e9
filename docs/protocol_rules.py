"""The rules of PROTOCOL.md, one by one, against a server of examples/hello on a Unix socket: what it answers, what it ignores,
and what ends the connection.

  python3 docs/protocol_rules.py PATH
"""

import socket
import struct
import sys

from protocol_example import (END_STREAM, HAS_MESSAGE, HAS_TIMEOUT, HELLO, MAGIC, PING, PONG, REQUEST, RESPONSE, SOCKET,
                              WELCOME, number, parse, text, varint)

MESSAGE, HEADERS, CANCEL, CREDIT, GOAWAY, ATTACHMENT, RELEASE, FORGET, FD_PASSING = 4, 5, 7, 8, 9, 12, 13, 14, 15
NO_MESSAGE = 8
DESCRIPTOR = 64
BYTES, BUFFER, FD = 0, 1, 2
RING = 3
CLOSED = "closed"
CALL = 1 << 16
NAME = text(1, b"/helloworld.Greeter/SayHello")
WORLD = text(1, b"world")
OK, INVALID_ARGUMENT, FAILED_PRECONDITION, UNIMPLEMENTED = 0, 3, 9, 12


def frame(kind, payload=b"", flags=0, detail=0, call=0, extra=0):
    return struct.pack("<IBBHII", 16 + len(payload), kind, flags, detail, call, extra) + payload


def request(head=NAME, message=WORLD, flags=HAS_MESSAGE | END_STREAM, detail=1, call=CALL, timeout=b""):
    return frame(REQUEST, timeout + head + message, flags, detail, call, len(head))


def message(payload, flags=0, extra=0, call=CALL):
    return frame(MESSAGE, payload, flags, 0, call, extra)


def attachment(payload, extra=0, type=BYTES, flags=0, call=CALL):
    return frame(ATTACHMENT, payload, flags, type, call, extra)


def metadata(key, value):
    return NAME + text(2, text(1, key) + text(2, value))


def hello(versions=(1, 1), carriers=(SOCKET,), **changes):
    wanted = text(4, b"".join(varint(carrier) for carrier in carriers))
    return frame(HELLO, number(1, versions[0]) + number(2, versions[1]) + wanted, **{"extra": MAGIC, **changes})


def receive(connection):
    """The next frame, as (kind, detail, payload behind the head); or CLOSED."""
    data = b""
    try:
        while len(data) < 16 or len(data) < struct.unpack_from("<I", data)[0]:
            wanted = struct.unpack_from("<I", data)[0] if len(data) >= 16 else 16
            part = connection.recv(wanted - len(data))
            if not part:
                return CLOSED
            data += part
    except ConnectionResetError:
        return CLOSED
    _, kind, _, detail, _, extra = struct.unpack_from("<IBBHII", data)
    return kind, detail, data[16 + (extra if kind == RESPONSE else 0) :]


def answer(*frames, first=hello()):
    """What comes back for `frames`: a status code, another kind's payload, or CLOSED."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(30)
    connection.connect(sys.argv[1])
    try:
        connection.sendall(first)
        if frames:
            assert receive(connection)[0] == WELCOME
        for one in frames:
            connection.sendall(one)
    except (BrokenPipeError, ConnectionResetError):
        pass
    got = receive(connection)
    if got == CLOSED:
        return CLOSED
    kind, detail, payload = got
    if kind == WELCOME:
        fields = parse(payload)
        return fields[1][0] if 1 in fields else fields[5][0] * 100
    return detail if kind == RESPONSE else payload


REQUEST_ONLY = request(message=b"", flags=0)  # its message is still to come

RULES = [
    # handshake
    ("a welcome", (), dict(first=hello()), SOCKET * 100),
    ("the first carrier that is offered", (), dict(first=hello(carriers=(RING, SOCKET))), SOCKET * 100),
    ("no carrier that is offered", (), dict(first=hello(carriers=(RING,))), FAILED_PRECONDITION),
    ("no carrier at all", (), dict(first=hello(carriers=())), FAILED_PRECONDITION),
    ("a later version", (), dict(first=hello(versions=(2, 3))), FAILED_PRECONDITION),
    ("version 1 among others", (), dict(first=hello(versions=(1, 9))), SOCKET * 100),
    ("another magic", (), dict(first=hello(extra=MAGIC + 1)), CLOSED),
    ("detail in a HELLO", (), dict(first=hello(detail=1)), CLOSED),
    ("no protobuf", (), dict(first=frame(HELLO, b"\xff\xff", extra=MAGIC)), CLOSED),
    ("a HELLO of 4097 bytes", (), dict(first=frame(HELLO, text(5, b"x" * 4078), extra=MAGIC)), CLOSED),
    ("a second HELLO", (hello(),), {}, CLOSED),
    # headers
    ("a size less than a header", (struct.pack("<IBBHII", 15, PING, 0, 0, 0, 0),), {}, CLOSED),
    ("a size over the limit", (struct.pack("<IBBHII", 65537, PING, 0, 0, 0, 0),), {}, CLOSED),
    ("kind 0", (frame(0),), {}, CLOSED),
    ("an unknown kind", (frame(16),), {}, CLOSED),
    ("an unknown flag", (request(flags=0x45),), {}, CLOSED),
    ("a request of call 0", (request(call=0),), {}, CLOSED),
    ("a ping of a call", (frame(PING, call=CALL),), {}, CLOSED),
    ("a payload in CANCEL", (frame(CANCEL, b"x", call=CALL),), {}, CLOSED),
    ("a head over the payload", (frame(REQUEST, NAME, 0, 1, CALL, len(NAME) + 1),), {}, CLOSED),
    ("bytes behind the head", (request(flags=0),), {}, CLOSED),
    ("NO_MESSAGE without END_STREAM", (REQUEST_ONLY, message(b"", NO_MESSAGE)), {}, CLOSED),
    # who sends what
    ("RESPONSE from a client", (frame(RESPONSE, call=CALL),), {}, CLOSED),
    ("HEADERS from a client", (frame(HEADERS, call=CALL),), {}, CLOSED),
    ("GOAWAY from a client", (frame(GOAWAY),), {}, CLOSED),
    ("a ping", (frame(PING, b"abc"),), {}, b"abc"),
    ("a pong that nobody asked for", (frame(PONG, b"abc"), request()), {}, OK),
    # calls and slots
    ("a call", (request(),), {}, OK),
    ("the last slot", (request(call=CALL | 1023),), {}, OK),
    ("a slot too many", (request(call=CALL | 1024),), {}, CLOSED),
    ("two calls in a slot", (REQUEST_ONLY, request(call=2 * CALL)), {}, CLOSED),
    ("a slot after CANCEL", (REQUEST_ONLY, frame(CANCEL, call=CALL), request(call=2 * CALL)), {}, OK),
    ("frames of no call", (frame(CREDIT, call=CALL, extra=1), message(b"x"), frame(CANCEL, call=CALL), request()), {}, OK),
    # methods
    ("number 0 with a name", (request(detail=0),), {}, OK),
    ("number 0 without", (request(head=b"", detail=0),), {}, CLOSED),
    ("a number without a name", (request(head=b"", detail=9),), {}, CLOSED),
    ("the largest number", (request(detail=4095),), {}, OK),
    ("a larger one", (request(detail=4096),), {}, CLOSED),
    ("a method that is not served", (request(head=text(1, b"/a.B/C")),), {}, UNIMPLEMENTED),
    ("a blank in its name", (request(head=text(1, b"/a.B/ C")),), {}, CLOSED),
    ("a name that is no text", (request(head=text(1, b"/a.B/\xff")),), {}, CLOSED),
    # heads
    ("metadata", (request(head=metadata(b"key", b"value")),), {}, OK),
    ("binary metadata", (request(head=metadata(b"key-bin", b"\x00\xff")),), {}, OK),
    ("a key in capitals", (request(head=metadata(b"KEY", b"value")),), {}, CLOSED),
    ("an empty key", (request(head=metadata(b"", b"value")),), {}, CLOSED),
    ("a value that is not text", (request(head=metadata(b"key", b"\x00")),), {}, CLOSED),
    ("a head that is no protobuf", (request(head=b"\xff"),), {}, CLOSED),
    # messages
    ("a message behind the request", (REQUEST_ONLY, message(WORLD, END_STREAM)), {}, OK),
    ("in fragments", (REQUEST_ONLY, message(WORLD[:3], 0, 4), message(WORLD[3:], END_STREAM)), {}, OK),
    ("an empty fragment", (REQUEST_ONLY, message(b"", 0, 7)), {}, CLOSED),
    ("fragments that do not fit", (REQUEST_ONLY, message(WORLD[:3], 0, 4), message(WORLD[3:], 0, 1)), {}, CLOSED),
    ("an end before the last fragment", (REQUEST_ONLY, message(WORLD[:3], END_STREAM, 4)), {}, CLOSED),
    ("an end and no message in the request", (request(message=b"", flags=END_STREAM),), {}, INVALID_ARGUMENT),
    ("an end without a message", (REQUEST_ONLY, message(b"", NO_MESSAGE | END_STREAM)), {}, INVALID_ARGUMENT),
    ("not of the method's type", (request(message=b"\xff"),), {}, INVALID_ARGUMENT),
    ("too much credit", (REQUEST_ONLY, *[frame(CREDIT, call=CALL, extra=2**32 - 1)] * 260), {}, CLOSED),
    # attachments
    ("attached bytes", (attachment(b"abc"), request()), {}, OK),
    ("in parts", (attachment(b"abc", 4), attachment(b"defg"), request()), {}, OK),
    ("parts that do not fit", (attachment(b"abc", 4), attachment(b"defg", 1)), {}, CLOSED),
    ("a request in the middle", (attachment(b"abc", 4), request()), {}, CLOSED),
    ("attached to an open call", (REQUEST_ONLY, attachment(b"abc")), {}, CLOSED),
    ("attached to a call that is given up", (attachment(b"abc", 4), frame(CANCEL, call=CALL), request(call=2 * CALL)), {}, OK),
    ("attached in a slot too many", (attachment(b"abc", call=CALL | 1024),), {}, CLOSED),
    ("64 attachments", (*[attachment(b"")] * 64, request()), {}, OK),
    ("65 attachments", (*[attachment(b"")] * 65, request()), {}, CLOSED),
    ("an unknown type", (attachment(b"", type=3),), {}, CLOSED),
    ("a buffer that was not sent", (attachment(struct.pack("<Q", 1), 0, BUFFER),), {}, CLOSED),
    ("a buffer's descriptor that did not come", (attachment(struct.pack("<Q", 1), 0, BUFFER, DESCRIPTOR),), {}, CLOSED),
    ("a descriptor without its flag", (attachment(b"", 0, FD),), {}, CLOSED),
    ("a release of no loan", (frame(RELEASE, extra=3),), {}, CLOSED),
    ("a forget of no buffer", (frame(FORGET, extra=3),), {}, CLOSED),
    ("may descriptors come?", (frame(FD_PASSING),), {}, b""),
    ("they may, but nobody has asked", (frame(FD_PASSING, detail=1),), {}, CLOSED),
    # deadlines
    ("a timeout", (request(flags=HAS_MESSAGE | HAS_TIMEOUT | END_STREAM, timeout=struct.pack("<Q", 10**9)),), {}, OK),
    ("no time for ever", (request(flags=HAS_MESSAGE | HAS_TIMEOUT | END_STREAM, timeout=b"\xff" * 8),), {}, OK),
]


def main():
    failures = 0
    for what, frames, options, expected in RULES:
        got = answer(*frames, **options)
        if got != expected:
            print(f"{what}: {expected} expected, {got} came")
            failures += 1
    print(f"{len(RULES)} rules, {failures} broken")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
