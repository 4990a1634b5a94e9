"""nearcall_grpc_bridge as a program. Usage: program_test.py BRIDGE SERVER CLIENT PROTOC PLUGIN

    CLIENT ── shm ──► BRIDGE ── grpc ──► BRIDGE ── local ──► SERVER
                             Python ─────────┘

SERVER and CLIENT are the interoperability programs, neither of which links gRPC.
"""

import os
import queue
import signal
import subprocess
import sys
import tempfile
import time

import grpc

BRIDGE, SERVER, CLIENT, PROTOC, PLUGIN = (os.path.abspath(path) for path in sys.argv[1:6])
SOURCES = ["protos/testing/interop/%s.proto" % name for name in ("test", "messages", "empty")]


def expect(condition, what):
    if not condition:
        sys.exit("FAILED: " + what)


class Program:
    """A program that says where it listens; killed at the end."""

    def __init__(self, *command):
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline().strip()
        expect(line.startswith("listening on "), "%s says: %s" % (command[0], line))
        self.address = line[len("listening on "):]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)


def run_interop_client(address):
    cases = subprocess.run([CLIENT, "--case=list"], capture_output=True, text=True, check=True).stdout.split()
    expect(len(cases) >= 20, "only these cases: %s" % cases)
    said = subprocess.run([CLIENT, "--address=" + address, "--through_grpc=3", "--concurrent_calls=20",
                           "--rpc_soak_calls=20", "--channel_soak_channels=20"], capture_output=True, text=True,
                          check=False)
    expect(said.stdout.split("\n")[:-1] == [case + ": passed" for case in cases], said.stdout + said.stderr)


def drain(bridge):
    """A call that has begun ends as it likes after SIGTERM, and so does the program."""
    from protos.testing.interop import empty_pb2, messages_pb2, test_pb2_grpc
    requests = queue.Queue()
    question = messages_pb2.StreamingOutputCallRequest(response_parameters=[messages_pb2.ResponseParameters(size=10)])
    with grpc.insecure_channel(bridge.address[len("grpc:"):]) as channel:
        stub = test_pb2_grpc.TestServiceStub(channel)
        stub.EmptyCall(empty_pb2.Empty(), timeout=60)
        answers = stub.FullDuplexCall(iter(requests.get, None), timeout=60)
        requests.put(question)
        expect(len(next(answers).payload.body) == 10, "an answer before SIGTERM")
        bridge.terminate()
        code = None
        while code != grpc.StatusCode.UNAVAILABLE:
            try:
                stub.EmptyCall(empty_pb2.Empty(), timeout=60)
                time.sleep(0.001)
            except grpc.RpcError as error:
                code = error.code()
                # What gRPC's server says to a call that crosses its farewell.
                expect(code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED), "a new call: %s" % error)
        expect(bridge.process.poll() is None, "the bridge does not wait for its call")
        requests.put(question)
        expect(len(next(answers).payload.body) == 10, "an answer after SIGTERM")
        requests.put(None)
        expect(list(answers) == [], "the end of the stream")
        expect(answers.code() == grpc.StatusCode.OK, "the stream ends with %s" % answers.code())
    expect(bridge.process.wait() == 0, "the bridge ended with %s" % bridge.process.returncode)


def certify(directory):
    """An authority, and a certificate of its for this machine: ca.pem, party.pem, party.key."""
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=ca", "-keyout", "ca.key",
            "-out", "ca.pem")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=party", "-keyout", "party.key", "-out", "party.csr")
    with open(directory + "/party.ext", "w", encoding="utf-8") as extensions:
        extensions.write("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    openssl("x509", "-req", "-days", "2", "-in", "party.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-extfile", "party.ext", "-out", "party.pem")


def encrypt(directory, server):
    """mTLS between two bridges; nobody gets in without a certificate."""
    certify(directory)
    ca, cert, key = (directory + "/" + name for name in ("ca.pem", "party.pem", "party.key"))

    def ask(address):
        return subprocess.run([CLIENT, "--address=" + address, "--case=large_unary"], capture_output=True, text=True,
                              check=False).stdout

    with Program(BRIDGE, "--listen=grpc:127.0.0.1:0", "--upstream=" + server.address, "--listen_cert=" + cert,
                 "--listen_key=" + key, "--listen_client_ca=" + ca) as outward, \
         Program(BRIDGE, "--listen=shm:" + directory + "/tls", "--upstream=" + outward.address, "--upstream_ca=" + ca,
                 "--upstream_cert=" + cert, "--upstream_key=" + key) as known, \
         Program(BRIDGE, "--listen=shm:" + directory + "/nobody", "--upstream=" + outward.address,
                 "--upstream_ca=" + ca) as unknown:
        expect(ask(known.address) == "large_unary: passed\n", "through mTLS: " + ask(known.address))
        expect("UNAVAILABLE" in ask(unknown.address), "without a certificate: " + ask(unknown.address))


def main():
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        subprocess.run([PROTOC, "--plugin=protoc-gen-grpc_python=" + PLUGIN, "--python_out=" + directory,
                        "--grpc_python_out=" + directory, "-I."] + SOURCES, check=True)
        sys.path.insert(0, directory)
        with Program(SERVER, "--listen=local:" + directory + "/server") as server:
            encrypt(directory, server)
        with Program(SERVER, "--listen=local:" + directory + "/server") as server, \
             Program(BRIDGE, "--listen=grpc:127.0.0.1:0", "--upstream=" + server.address) as outward, \
             Program(BRIDGE, "--listen=shm:" + directory + "/bridge", "--upstream=" + outward.address) as inward:
            run_interop_client(inward.address)
            drain(outward)
            inward.terminate()
            expect(inward.process.wait() == 0, "the bridge ended with %s" % inward.process.returncode)
    wrong = subprocess.run([BRIDGE, "--listen=shm:x"], capture_output=True, text=True, check=False)
    expect(wrong.returncode == 2 and "usage" in wrong.stderr, "without --upstream: %s" % wrong)
    print("PASSED")


main()
