"""Python's gRPC and examples/hello, each calling the other. Usage: python_test.py SERVER CLIENT PROTOC PLUGIN

SERVER and CLIENT are the example's programs; the latter must know grpc: addresses. The client is once made from generated
code, and once from nothing but what reflection tells of the server.
"""

import concurrent.futures
import os
import signal
import subprocess
import sys
import tempfile

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

SERVER, CLIENT, PROTOC, PLUGIN = (os.path.abspath(path) for path in sys.argv[1:5])
SOURCES = ["examples/hello/hello.proto", "protos/grpc/reflection/v1/reflection.proto",
           "protos/grpc/health/v1/health.proto"]


def expect(condition, what):
    if not condition:
        sys.exit("FAILED: " + what)


def generate(directory):
    subprocess.run(
        [PROTOC, "--plugin=protoc-gen-grpc_python=" + PLUGIN, "--python_out=" + directory,
         "--grpc_python_out=" + directory, "-I."] + SOURCES, check=True)
    sys.path.insert(0, directory)


def call_with_generated_code(target):
    from examples.hello import hello_pb2, hello_pb2_grpc
    with grpc.insecure_channel(target) as channel:
        stub = hello_pb2_grpc.GreeterStub(channel)
        expect(stub.SayHello(hello_pb2.HelloRequest(name="snake"), timeout=10).message == "Hello, snake!", "a greeting")
        try:
            stub.SayHello(hello_pb2.HelloRequest(), timeout=10)
            expect(False, "an empty name is no error")
        except grpc.RpcError as error:
            expect(error.code() == grpc.StatusCode.INVALID_ARGUMENT, "the code is %s" % error.code())
            expect(error.details() == "whom shall I greet?", "the message is " + error.details())


def call_with_reflection(target):
    from protos.grpc.reflection.v1 import reflection_pb2
    ask = reflection_pb2.ServerReflectionRequest
    with grpc.insecure_channel(target) as channel:
        reflect = channel.stream_stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
                                        request_serializer=ask.SerializeToString,
                                        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString)
        questions = [ask(list_services=""), ask(file_containing_symbol="helloworld.Greeter")]
        services, file = list(reflect(iter(questions), timeout=10))
        names = [service.name for service in services.list_services_response.service]
        expect("helloworld.Greeter" in names, "the services are %s" % names)

        pool = descriptor_pool.DescriptorPool()
        for serialized in file.file_descriptor_response.file_descriptor_proto:
            pool.Add(descriptor_pb2.FileDescriptorProto.FromString(serialized))
        method = pool.FindServiceByName("helloworld.Greeter").FindMethodByName("SayHello")
        factory = message_factory.MessageFactory(pool)
        request_type = factory.GetPrototype(method.input_type)
        reply_type = factory.GetPrototype(method.output_type)
        call = channel.unary_unary("/helloworld.Greeter/SayHello", request_serializer=request_type.SerializeToString,
                                   response_deserializer=reply_type.FromString)
        expect(call(request_type(name="mirror"), timeout=10).message == "Hello, mirror!", "a greeting by reflection")


def probe(target):
    """As Kubernetes and the like do."""
    from protos.grpc.health.v1 import health_pb2, health_pb2_grpc
    with grpc.insecure_channel(target) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=10)
        expect(answer.status == health_pb2.HealthCheckResponse.SERVING, "the health is %s" % answer)
        try:
            stub.Check(health_pb2.HealthCheckRequest(service="no.such.Service"), timeout=10)
            expect(False, "the health of a service that does not exist")
        except grpc.RpcError as error:
            expect(error.code() == grpc.StatusCode.NOT_FOUND, "the code is %s" % error.code())


def serve_for_our_client():
    from examples.hello import hello_pb2, hello_pb2_grpc

    class Greeter(hello_pb2_grpc.GreeterServicer):
        def SayHello(self, request, context):
            if request.name == "nobody":
                context.abort(grpc.StatusCode.NOT_FOUND, "nobody is not here")
            return hello_pb2.HelloReply(message="Python greets " + request.name)

    server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=2))
    hello_pb2_grpc.add_GreeterServicer_to_server(Greeter(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()

    def call(name):
        return subprocess.run([CLIENT, "--address=grpc:127.0.0.1:%d" % port, "--name=" + name], capture_output=True,
                              text=True, check=False)

    said = call("you")
    expect(said.returncode == 0 and said.stdout.startswith("Python greets you (grpc:"), said.stdout + said.stderr)
    said = call("nobody")
    expect(said.returncode == 1 and "NOT_FOUND: nobody is not here" in said.stderr, said.stdout + said.stderr)
    server.stop(None).wait()


def main():
    with tempfile.TemporaryDirectory() as directory:
        generate(directory)
        server = subprocess.Popen([SERVER, "--listen=grpc:127.0.0.1:0"], stdout=subprocess.PIPE, text=True)
        try:
            line = server.stdout.readline().strip()
            expect(line.startswith("listening on grpc:127.0.0.1:"), "the server says: " + line)
            target = line[len("listening on grpc:"):]
            call_with_generated_code(target)
            call_with_reflection(target)
            probe(target)
            server.send_signal(signal.SIGTERM)
            expect(server.wait() == 0, "the server ended with %s" % server.returncode)
        finally:
            server.kill()
        serve_for_our_client()
    print("PASSED")


main()
