"""The repositories of deps.bzl for MODULE.bazel. Bazel before 6 must not load this file, and has no reason to."""

load(":deps.bzl", "LIBRARIES")

def _system_impl(_):
    for name, (rule, attributes) in LIBRARIES.items():
        rule(name = name, **attributes)

system = module_extension(implementation = _system_impl)
