"""A client of nearcall's protocol, from docs/PROTOCOL.md alone: no nearcall code, no protobuf library.

  ./bazelw run //examples/hello:server -- --listen=unix:/tmp/hello.sock
  python3 docs/protocol_example.py /tmp/hello.sock

Prints every frame in hex. Its output is the worked example at the end of PROTOCOL.md.
"""

import socket
import struct
import sys

HELLO, WELCOME, REQUEST, RESPONSE, PING, PONG = 1, 2, 3, 6, 10, 11
HAS_MESSAGE, HAS_TIMEOUT, END_STREAM = 1, 2, 4
MAGIC = 0x4C41434E
SOCKET = 1  # the carrier


# --- protobuf, as much as is needed --------------------------------------------------------------------------------


def varint(value):
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def number(field, value):
    return varint(field << 3) + varint(value)


def text(field, value):
    return varint(field << 3 | 2) + varint(len(value)) + value


def parse(data):
    """The fields of a message: number -> list of values."""
    fields, at = {}, 0

    def read_varint():
        nonlocal at
        value, shift = 0, 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = read_varint()
        if key & 7 == 0:
            value = read_varint()
        else:  # fixed64, bytes, fixed32
            size = {1: 8, 2: None, 5: 4}[key & 7]
            size = read_varint() if size is None else size
            value, at = data[at : at + size], at + size
        fields.setdefault(key >> 3, []).append(value)
    return fields


# --- frames --------------------------------------------------------------------------------------------------------


def dump(who, name, frame):
    print(f"{who} {name}, {len(frame)} bytes")
    for at in range(0, len(frame), 16):
        row = frame[at : at + 16]
        printable = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in row)
        print(f"  {at:04x}  {row.hex(' '):<47}  {printable}")


class Connection:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.connect(path)
        hello = number(1, 1) + number(2, 1) + text(4, varint(SOCKET)) + text(5, b"example")
        self.send("HELLO", HELLO, hello, extra=MAGIC)
        kind, _, _, _, extra, payload = self.receive("WELCOME")
        assert kind == WELCOME and extra == MAGIC
        welcome = parse(payload)
        if 1 in welcome:
            sys.exit(f"refused with code {welcome[1][0]}: {welcome[2][0].decode()}")
        assert welcome[3] == [1] and welcome[5] == [SOCKET]  # version 1, over this socket
        self.calls = 0

    def send(self, name, kind, payload=b"", flags=0, detail=0, call=0, extra=0):
        frame = struct.pack("<IBBHII", 16 + len(payload), kind, flags, detail, call, extra) + payload
        dump("client:", name, frame)
        self.socket.sendall(frame)

    def receive(self, name):
        header = self.read(16)
        size, kind, flags, detail, call, extra = struct.unpack("<IBBHII", header)
        payload = self.read(size - 16)
        dump("server:", name, header + payload)
        return kind, flags, detail, call, extra, payload

    def read(self, size):
        data = b""
        while len(data) < size:
            part = self.socket.recv(size - len(data))
            if not part:
                sys.exit("the server closed the connection")
            data += part
        return data

    def unary(self, method_number, method_name, message, timeout_ns=None):
        """Returns the status code, its text, and the response's bytes. Uses slot 0 for one call after the other."""
        self.calls += 1
        call = self.calls << 16 | 0  # the slot's generation, and the slot
        head = text(1, method_name) if method_name else b""
        flags = HAS_MESSAGE | END_STREAM
        payload = head + message
        if timeout_ns is not None:
            flags |= HAS_TIMEOUT
            payload = struct.pack("<Q", timeout_ns) + payload
        self.send("REQUEST", REQUEST, payload, flags, method_number, call, len(head))
        kind, flags, code, answered, head_size, payload = self.receive("RESPONSE")
        assert kind == RESPONSE and answered == call
        head = parse(payload[:head_size])
        return code, head.get(3, [b""])[0].decode(), payload[head_size:]


def main():
    connection = Connection(sys.argv[1])
    world = text(1, b"world")  # helloworld.HelloRequest

    print("# The first call: the method by number and name.")
    code, message, reply = connection.unary(1, b"/helloworld.Greeter/SayHello", world)
    assert (code, message) == (0, "") and parse(reply)[1] == [b"Hello, world!"]

    print("# The second: by number alone. With a second's time.")
    code, message, reply = connection.unary(1, b"", world, timeout_ns=10**9)
    assert code == 0 and parse(reply)[1] == [b"Hello, world!"]

    print("# One that fails: INVALID_ARGUMENT is 3.")
    code, message, reply = connection.unary(1, b"", b"")
    assert (code, message, reply) == (3, "whom shall I greet?", b"")

    print("# One that the server does not have: UNIMPLEMENTED is 12.")
    code, message, reply = connection.unary(2, b"/a.B/C", b"")
    assert code == 12

    connection.send("PING", PING, b"12345678")
    kind, _, _, _, _, payload = connection.receive("PONG")
    assert (kind, payload) == (PONG, b"12345678")
    print("# OK")


if __name__ == "__main__":
    main()
