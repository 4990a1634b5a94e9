"""Compiler options for nearcall's own targets; never for generated code or third parties."""

NEARCALL_COPTS = [
    "-Wall",
    "-Wextra",
]

# For what no user compiles: the framework's internals use C++20.
NEARCALL_INTERNAL_COPTS = NEARCALL_COPTS + ["-std=c++20"]
