"""Sockets that were opened for a server: systemd's convention, played by hand. Usage: systemd_test.py SERVER CLIENT"""

import os
import signal
import socket
import subprocess
import sys
import tempfile

SERVER, CLIENT = (os.path.abspath(path) for path in sys.argv[1:3])


def start(sockets, listen, names=None, pid=None):
    """Starts the server as systemd would; returns its process."""
    out_read, out_write = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(out_write, 1)
        os.dup2(out_write, 2)
        # Out of the way first: a socket may have the number that another one is to get.
        high = [os.dup2(s.fileno(), 100 + i) for i, s in enumerate(sockets)]
        for i, fd in enumerate(high):
            os.dup2(fd, 3 + i)
        os.closerange(3 + len(sockets), 200)
        env = dict(os.environ, LISTEN_PID=str(pid or os.getpid()), LISTEN_FDS=str(len(sockets)))
        if names:
            env["LISTEN_FDNAMES"] = names
        os.execve(SERVER, [SERVER, "--listen=" + listen], env)
    os.close(out_write)
    return child, os.fdopen(out_read)


def expect(condition, what):
    if not condition:
        sys.exit("FAILED: " + what)


def call(address):
    return subprocess.run([CLIENT, "--address=" + address], capture_output=True, text=True)


def stop(child, output):
    os.kill(child, signal.SIGTERM)
    expect(os.waitpid(child, 0)[1] == 0, "the server ended well")
    output.close()


def refusal(sockets, listen, **kwargs):
    child, output = start(sockets, listen, **kwargs)
    text = output.read()
    expect(os.waitpid(child, 0)[1] != 0, "a server refuses to start with %s: %s" % (listen, text))
    return text


with tempfile.TemporaryDirectory() as directory:
    path = directory + "/hello.sock"
    local = socket.socket(socket.AF_UNIX)
    local.bind(path)
    local.listen()
    tcp = socket.socket(socket.AF_INET)
    tcp.bind(("127.0.0.1", 0))
    tcp.listen()
    tcp_address = "tcp:127.0.0.1:%d" % tcp.getsockname()[1]
    anywhere = socket.socket(socket.AF_INET)
    anywhere.bind(("0.0.0.0", 0))
    anywhere.listen()
    datagram = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    # All of them; a Unix socket is served as local: is.
    child, output = start([local, tcp], "systemd:*")
    expect(output.readline() == "listening on unix:%s\n" % path, "the first socket is known by its name")
    expect(output.readline() == "listening on %s\n" % tcp_address, "the second, too")
    for address, carrier in [("local:" + path, "shm:"), ("shm:" + path, "shm:"), ("unix:" + path, "unix:"),
                             (tcp_address, tcp_address)]:
        reply = call(address)
        expect("Hello, world" in reply.stdout and carrier in reply.stdout, "%s: %s" % (address, reply))
    stop(child, output)

    # By name and by number; who connects between two servers waits for the next.
    waiting = subprocess.Popen([CLIENT, "--address=unix:" + path], stdout=subprocess.PIPE, text=True)
    child, output = start([tcp, local], "systemd:web,systemd:1", names="web:other")
    expect(output.readline() == "listening on %s\n" % tcp_address, "by name")
    expect(output.readline() == "listening on unix:%s\n" % path, "by number")
    expect("Hello, world" in waiting.communicate()[0], "a client that came before its server")
    stop(child, output)

    expect("NOT_FOUND" in refusal([local], "systemd:none", names="web"), "an unknown name")
    expect("LISTEN_PID" in refusal([local], "systemd:*", pid=1), "sockets of another process")
    expect("allow_remote" in refusal([anywhere], "systemd:*"), "a socket that other machines reach")
    expect("not a listening stream socket" in refusal([datagram], "systemd:*"), "a socket of another kind")
    expect("is for servers" in call("systemd:x").stderr, "a client")
print("PASSED")
