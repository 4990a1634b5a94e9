"""@com_google_absl from the system's abseil.

Debian ships one pkg-config file for each of abseil's CMake targets, with what it links and requires. Each becomes a
cc_library in the root package, and the canonical labels are aliases for those. So the list below holds only names,
and the same list serves any version: a target that the installed abseil lacks is left out.
"""

load(":system.bzl", "require")

# Package -> public targets; "target=pc" where the .pc file is not absl_<target>.
_TARGETS = {
    "algorithm": "algorithm container=algorithm_container",
    "base": "base config core_headers dynamic_annotations log_severity no_destructor nullability prefetch",
    "cleanup": "cleanup",
    "container": "btree fixed_array flat_hash_map flat_hash_set inlined_vector node_hash_map node_hash_set",
    "debugging": "failure_signal_handler leak_check stacktrace symbolize",
    "flags": "commandlineflag=flags_commandlineflag config=flags_config flag=flags marshalling=flags_marshalling " +
             "parse=flags_parse reflection=flags_reflection usage=flags_usage",
    "functional": "any_invocable bind_front function_ref overload",
    "hash": "hash",
    "log": "absl_check absl_log check die_if_null flags=log_flags globals=log_globals initialize=log_initialize log " +
           "log_entry log_sink log_sink_registry scoped_mock_log structured=log_structured vlog_is_on",
    "memory": "memory",
    "meta": "type_traits",
    "numeric": "bits int128",
    "random": "bit_gen_ref=random_bit_gen_ref distributions=random_distributions random=random_random " +
              "seed_gen_exception=random_seed_gen_exception seed_sequences=random_seed_sequences",
    "status": "status statusor",
    "strings": "cord str_format string_view strings",
    "synchronization": "synchronization",
    "time": "civil_time time",
    "types": "any bad_any_cast bad_optional_access bad_variant_access compare optional span variant",
    "utility": "utility",
}

_HEADERS = """
package(default_visibility = ["//visibility:public"])

cc_library(
    name = "headers",
    hdrs = glob(["include/absl/**"]),
    includes = ["include"],
)

config_setting(
    name = "tsan",
    values = {"copt": "-fsanitize=thread"},
)
"""

_LIBRARY = """
cc_library(
    name = "{name}",
    linkopts = {linkopts},
    deps = {deps},
)
"""

# What ThreadSanitizer is told of a library that is not instrumented.
_TSAN = """
cc_library(
    name = "{name}_tsan",
    srcs = ["{name}_tsan.cc"],
    linkopts = ["-ldl"],
    linkstatic = True,
    deps = {deps},
    alwayslink = True,
)
"""
_TSAN_DEP = ' + select({{":tsan": [":{name}_tsan"], "//conditions:default": []}})'
_HAVE_TSAN = ["absl_status", "absl_synchronization"]

_ALIAS = """
alias(
    name = "{name}",
    actual = "//:absl_{actual}",
    visibility = ["//visibility:public"],
)
"""

def _pkgconfig_directory(ctx):
    for directory in ctx.path("/usr/lib").readdir():  # the name of the architecture stands in the path
        found = directory.get_child("pkgconfig")
        if found.get_child("absl_base.pc").exists:
            return found
    return require(ctx, "/usr/lib/*/pkgconfig/absl_base.pc", "libabsl-dev")

def _library(ctx, pc):
    """Turns absl_NAME.pc into a cc_library."""
    linkopts, deps = [], [":headers"]
    for line in ctx.read(pc).splitlines():
        key, _, value = line.partition(":")
        if key == "Requires":
            deps += [":" + word.strip().partition(" ")[0] for word in value.split(",") if word.strip()]
        elif key == "Libs":
            linkopts += [word for word in value.split(" ") if word.startswith("-labsl_")]
    name = pc.basename[:-len(".pc")]
    library = _LIBRARY.format(
        name = name,
        linkopts = linkopts,
        deps = repr(deps) + (_TSAN_DEP.format(name = name) if name in _HAVE_TSAN else ""),
    )
    return library + (_TSAN.format(name = name, deps = repr(deps)) if name in _HAVE_TSAN else "")

def _absl_repository_impl(ctx):
    ctx.symlink(require(ctx, "/usr/include/absl", "libabsl-dev"), "include/absl")
    for name in _HAVE_TSAN:
        ctx.symlink(Label("//third_party:%s_tsan.cc" % name), "%s_tsan.cc" % name)
    directory = _pkgconfig_directory(ctx)
    pcs = [pc for pc in directory.readdir() if pc.basename.startswith("absl_") and pc.basename.endswith(".pc")]
    ctx.file("BUILD.bazel", _HEADERS + "".join([_library(ctx, pc) for pc in pcs]))

    names = [pc.basename for pc in pcs]
    for package, targets in _TARGETS.items():
        aliases = []
        for target in targets.split(" "):
            name, _, actual = target.partition("=")
            if "absl_%s.pc" % (actual or name) in names:
                aliases.append(_ALIAS.format(name = name, actual = actual or name))
        if package == "strings" and "absl_string_view.pc" not in names:  # older: part of strings
            aliases.append(_ALIAS.format(name = "string_view", actual = "strings"))
        ctx.file("absl/%s/BUILD.bazel" % package, "".join(aliases))

absl_repository = repository_rule(
    implementation = _absl_repository_impl,
    local = True,
)
