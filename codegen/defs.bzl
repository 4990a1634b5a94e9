"""cc_nearcall_library: the nearcall code of the services in one proto_library."""

load("@rules_cc//cc:defs.bzl", "cc_library")
load("@rules_proto//proto:defs.bzl", "ProtoInfo")

def _import_path(file, roots):
    """The path by which .proto files import `file`: what follows the longest of `roots` that leads to it."""
    longest = ""
    for root in roots + [file.root.path]:
        if root != "." and file.path.startswith(root + "/") and len(root) > len(longest):
            longest = root
    return file.path[len(longest) + 1:] if longest else file.path

def _nearcall_codegen_impl(ctx):
    proto = ctx.attr.proto[ProtoInfo]
    roots = proto.transitive_proto_path.to_list()
    sources = [_import_path(source, roots) for source in proto.direct_sources]
    groups = {
        "hdrs": [".nearcall.h"] + (["_mock.nearcall.h"] if ctx.attr.mocks else []),
        "srcs": [".nearcall.cc"],
    }
    if ctx.attr.grpc_adapter:
        groups["adapter_hdrs"] = ["_grpc.nearcall.h"]
        groups["adapter_srcs"] = ["_grpc.nearcall.cc"]
    files = {
        group: [
            # In a directory of our own, which the library puts on the include path: that serves any import prefix.
            ctx.actions.declare_file("%s/%s%s" % (ctx.label.name, source[:-len(".proto")], suffix))
            for source in sources
            for suffix in suffixes
        ]
        for group, suffixes in groups.items()
    }
    outputs = [file for group in files.values() for file in group]

    options = ["generate_mock_code=true"] if ctx.attr.mocks else []
    if ctx.attr.grpc_adapter:
        options.append("generate_grpc_adapter=true")
    if ctx.attr.services_namespace:
        options.append("services_namespace=" + ctx.attr.services_namespace)
    directory = [ctx.bin_dir.path, ctx.label.workspace_root, ctx.label.package, ctx.label.name]

    args = ctx.actions.args()
    args.add(ctx.executable._plugin, format = "--plugin=protoc-gen-nearcall=%s")
    args.add("--nearcall_out=%s:%s" % (",".join(options), "/".join([part for part in directory if part])))

    # The sources and not their descriptor sets: those lack the comments.
    for source in proto.transitive_sources.to_list():
        args.add("-I%s=%s" % (_import_path(source, roots), source.path))
    args.add_all(sources)
    args.use_param_file("@%s")
    args.set_param_file_format("multiline")
    if outputs:
        ctx.actions.run(
            executable = ctx.executable._protoc,
            arguments = [args],
            inputs = proto.transitive_sources,
            outputs = outputs,
            tools = [ctx.executable._plugin],
            mnemonic = "NearcallCodegen",
            progress_message = "Generating nearcall code for %s" % ctx.label,
        )
    return [
        DefaultInfo(files = depset(files["hdrs"] + files["srcs"])),
        OutputGroupInfo(**{group: depset(files[group]) for group in files}),
    ]

_nearcall_codegen = rule(
    implementation = _nearcall_codegen_impl,
    attrs = {
        "grpc_adapter": attr.bool(),
        "mocks": attr.bool(),
        "proto": attr.label(mandatory = True, providers = [ProtoInfo]),
        "services_namespace": attr.string(),
        "_plugin": attr.label(default = "//codegen:protoc-gen-nearcall", executable = True, cfg = "exec"),
        "_protoc": attr.label(
            default = "@com_google_protobuf//:protoc",
            executable = True,
            allow_files = True,
            cfg = "exec",
        ),
    },
)

def cc_nearcall_library(
        name,
        srcs,
        deps,
        generate_mocks = False,
        services_namespace = None,
        grpc_adapter = False,
        grpc_deps = [],
        **kwargs):
    """A cc_library with the stubs and service classes for one proto_library; of the shape of gRPC's cc_grpc_library.

    For pkg/foo.proto, include "pkg/foo.nearcall.h". What calls or serves must link a runtime as well:
    @nearcall//runtime:nearcall.

    Args:
      name: the name of the library.
      srcs: one proto_library.
      deps: its cc_proto_library.
      generate_mocks: also pkg/foo_mock.nearcall.h; who includes it depends on GoogleTest.
      services_namespace: a namespace, inside the package's, for the generated classes.
      grpc_adapter: also the library NAME_grpc_adapter, with pkg/foo_grpc.nearcall.h: gRPC's generated classes over
        nearcall's addresses. NAME itself stays without gRPC.
      grpc_deps: for that, the cc_grpc_library of the same proto_library.
      **kwargs: passed on to cc_library.
    """
    if len(srcs) != 1:
        fail("cc_nearcall_library %s: srcs must be one proto_library, not %d labels" % (name, len(srcs)))

    common = ["compatible_with", "restricted_to", "tags", "target_compatible_with", "testonly"]
    codegen = "_%s_nearcall_codegen" % name
    _nearcall_codegen(
        name = codegen,
        grpc_adapter = grpc_adapter,
        mocks = generate_mocks,
        proto = srcs[0],
        services_namespace = services_namespace,
        visibility = ["//visibility:private"],
        **{key: kwargs[key] for key in common if key in kwargs}
    )
    for group in ["hdrs", "srcs"] + (["adapter_hdrs", "adapter_srcs"] if grpc_adapter else []):
        native.filegroup(
            name = "%s.%s" % (codegen, group),
            srcs = [":" + codegen],
            output_group = group,
            visibility = ["//visibility:private"],
            **{key: kwargs[key] for key in common if key in kwargs}
        )
    cc_library(
        name = name,
        srcs = [":%s.srcs" % codegen],
        hdrs = [":%s.hdrs" % codegen],
        includes = [codegen],
        deps = deps + [Label("//runtime:api")],
        **kwargs
    )
    if grpc_adapter:
        cc_library(
            name = name + "_grpc_adapter",
            srcs = [":%s.adapter_srcs" % codegen],
            hdrs = [":%s.adapter_hdrs" % codegen],
            includes = [codegen],
            deps = deps + grpc_deps + [Label("//runtime:grpc_adapter")],
            **kwargs
        )
