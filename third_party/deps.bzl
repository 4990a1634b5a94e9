"""External repositories, under their canonical names, served by the system's packages.

Nothing here uses the network. A repository that the consumer's WORKSPACE has declared before it calls
`nearcall_deps()` is left alone. Libraries that pass each other's types should come from one place: who brings an
abseil of their own should bring gRPC too, for the system's gRPC is built on the system's abseil.
"""

load(":absl.bzl", "absl_repository")
load(":system.bzl", "system_repository")

# name -> (repository rule, its attributes). Label(), because a plain string would mean a file of the consumer's.
LIBRARIES = {
    "com_google_absl": (absl_repository, {}),
    "com_google_protobuf": (system_repository, {
        "links": {
            "include/google/protobuf": "libprotobuf-dev",
            "bin/protoc": "protobuf-compiler",
        },
        "needs": {"include/google/protobuf/compiler/plugin.proto": "libprotoc-dev"},
        "overlay": {Label("//third_party:protobuf.BUILD"): "BUILD.bazel"},
    }),
    "com_github_grpc_grpc": (system_repository, {
        "links": {
            "include/grpc": "libgrpc-dev",
            "include/grpcpp": "libgrpc++-dev",
            "bin/grpc_cpp_plugin": "protobuf-compiler-grpc",
        },
        "overlay": {
            Label("//third_party:grpc.BUILD"): "BUILD.bazel",
            Label("//third_party:cc_grpc_library.bzl"): "bazel/cc_grpc_library.bzl",
        },
    }),
    "com_google_googletest": (system_repository, {
        "links": {
            "include/gtest": "libgtest-dev",
            "include/gmock": "libgmock-dev",
        },
        "overlay": {Label("//third_party:googletest.BUILD"): "BUILD.bazel"},
    }),
    "com_github_google_benchmark": (system_repository, {
        "links": {"include/benchmark": "libbenchmark-dev"},
        "overlay": {Label("//third_party:benchmark.BUILD"): "BUILD.bazel"},
    }),
}

# Rule sets. Bazel's own embedded tools load them as well.
RULES = {
    "bazel_skylib": (system_repository, {
        "root": "/usr/share/bazel/tools/skylib",
        "package": "bazel-skylib",
    }),
    "platforms": (system_repository, {
        "root": "/usr/share/bazel/tools/platforms",
        "package": "bazel-platforms",
    }),
    "remote_coverage_tools": (system_repository, {
        "overlay": {Label("//third_party:remote_coverage_tools.BUILD"): "BUILD.bazel"},
    }),
    "rules_cc": (system_repository, {
        "overlay": {Label("//third_party:rules_cc.bzl"): "cc/defs.bzl"},
    }),
    "rules_java": (system_repository, {
        "root": "/usr/share/bazel/rules/java",
        "package": "bazel-rules-java",
    }),
    "rules_proto": (system_repository, {
        "root": "/usr/share/bazel/rules/proto",
        "package": "bazel-rules-proto",
    }),
}

def nearcall_deps():
    """Declares every repository that nearcall needs and the workspace has not declared yet."""
    for repositories in [LIBRARIES, RULES]:
        for name, (rule, attributes) in repositories.items():
            if not native.existing_rule(name):
                rule(name = name, **attributes)
