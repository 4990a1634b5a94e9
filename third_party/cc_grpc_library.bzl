"""cc_grpc_library, of the same shape as gRPC's own, on the system's protoc and plugin."""

load("@rules_cc//cc:defs.bzl", "cc_library", "cc_proto_library")
load("@rules_proto//proto:defs.bzl", "ProtoInfo")

def _import_path(proto, root):
    """The path by which other protos import this one; root is its ProtoInfo's proto_source_root."""
    for prefix in [root, proto.root.path]:
        if prefix not in ["", "."] and proto.path.startswith(prefix + "/"):
            return proto.path[len(prefix) + 1:]
    return proto.path

def _grpc_codegen_impl(ctx):
    proto = ctx.attr.proto[ProtoInfo]
    imports = [_import_path(src, proto.proto_source_root) for src in proto.direct_sources]
    suffixes = [".grpc.pb.h", ".grpc.pb.cc"] + (["_mock.grpc.pb.h"] if ctx.attr.mocks else [])
    outputs = [
        # In a directory of our own, which the library puts on the include path: that serves any import prefix.
        ctx.actions.declare_file("%s/%s%s" % (ctx.label.name, path[:-len(".proto")], suffix))
        for path in imports
        for suffix in suffixes
    ]

    args = ctx.actions.args()
    args.add(ctx.executable._plugin, format = "--plugin=protoc-gen-grpc=%s")
    args.add("--grpc_out=%s%s/%s" % (
        "generate_mock_code=true:" if ctx.attr.mocks else "",
        ctx.bin_dir.path,
        "/".join([part for part in [ctx.label.workspace_root, ctx.label.package, ctx.label.name] if part]),
    ))
    args.add_joined("--descriptor_set_in", proto.transitive_descriptor_sets, join_with = ":")
    args.add_all(imports)
    ctx.actions.run(
        executable = ctx.executable._protoc,
        arguments = [args],
        inputs = proto.transitive_descriptor_sets,
        outputs = outputs,
        tools = [ctx.executable._plugin],
        mnemonic = "GrpcCodegen",
        progress_message = "Generating gRPC code for %s" % ctx.label,
    )
    return [
        DefaultInfo(files = depset(outputs)),
        OutputGroupInfo(
            hdrs = depset([output for output in outputs if output.extension == "h"]),
            srcs = depset([output for output in outputs if output.extension == "cc"]),
        ),
    ]

_grpc_codegen = rule(
    implementation = _grpc_codegen_impl,
    attrs = {
        "mocks": attr.bool(),
        "proto": attr.label(mandatory = True, providers = [ProtoInfo]),
        "_plugin": attr.label(default = "//:grpc_cpp_plugin", executable = True, allow_files = True, cfg = "exec"),
        "_protoc": attr.label(default = "@com_google_protobuf//:protoc", executable = True, allow_files = True, cfg = "exec"),
    },
)

def cc_grpc_library(name, srcs, deps, proto_only = False, generate_mocks = False, grpc_only = False, **kwargs):
    """A cc_library with the gRPC code for one proto_library.

    Args:
      name: the name of the library.
      srcs: one proto_library.
      deps: with grpc_only, the cc_proto_library of srcs; else, proto_librarys that srcs imports (unused, as in gRPC).
      proto_only: the messages' code only.
      generate_mocks: also *_mock.grpc.pb.h.
      grpc_only: the services' code only: the messages' is in deps.
      **kwargs: passed on to cc_library.
    """
    if len(srcs) != 1:
        fail("cc_grpc_library %s: srcs must be one proto_library" % name)
    if not grpc_only:
        proto_target = name if proto_only else "_%s_cc_proto" % name
        cc_proto_library(name = proto_target, deps = srcs, visibility = kwargs.get("visibility"))
        deps = [":" + proto_target]
    if proto_only:
        return

    codegen = "_%s_grpc_codegen" % name
    _grpc_codegen(name = codegen, proto = srcs[0], mocks = generate_mocks, testonly = kwargs.get("testonly", False))
    for group in ["hdrs", "srcs"]:
        native.filegroup(name = codegen + "." + group, srcs = [":" + codegen], output_group = group)
    cc_library(
        name = name,
        srcs = [":%s.srcs" % codegen],
        hdrs = [":%s.hdrs" % codegen],
        includes = [codegen],
        deps = deps + [Label("//:grpc++")],
        **kwargs
    )
