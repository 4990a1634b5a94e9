"""compile_test: a given compiler takes generated code without a word."""

def _compile_test_impl(ctx):
    context = ctx.attr.dep[CcInfo].compilation_context
    flags = ["-std=" + ctx.attr.std] + ctx.attr.flags

    # Where Bazel puts -isystem the warnings are off: the directories of the code under test come first, as -I.
    own = [path for path in context.system_includes.to_list() if path.endswith("_nearcall_codegen")]
    flags += ["-I" + path for path in own]
    flags += ["-I" + path for path in context.includes.to_list()]
    for path in context.quote_includes.to_list():
        flags += ["-iquote", path]
    for path in context.system_includes.to_list():
        if path not in own:
            flags += ["-isystem", path]

    # One translation unit with everything, headers first and twice.
    headers = [file for file in ctx.files.generated if file.extension == "h"]
    sources = [file for file in ctx.files.generated if file.extension == "cc"]
    unit = ctx.actions.declare_file(ctx.label.name + ".cc")
    ctx.actions.write(unit, "".join([
        "#include \"%s\"\n" % file.path
        for file in headers + headers + sources
    ] + [
        "#include \"%s\"\n" % path
        for path in ctx.attr.includes
    ]))

    # The verdict is made here, where the headers are, and is read out by the test.
    verdict = ctx.actions.declare_file(ctx.label.name + ".verdict")
    ctx.actions.run_shell(
        outputs = [verdict],
        inputs = depset([unit] + ctx.files.generated, transitive = [context.headers]),
        arguments = [verdict.path, ctx.attr.absent_header, ctx.attr.compiler] + flags + ["-fsyntax-only", "-I.", unit.path],
        command = """
verdict="$1"; absent="$2"; shift 2
if ! command -v "$1" > /dev/null; then
  echo "SKIPPED: there is no $1" > "$verdict"
elif "$@" > "$verdict" 2>&1 && [ ! -s "$verdict" ]; then
  echo "OK: $*" > "$verdict"
else
  echo "FAILED: $*" >> "$verdict"
fi
if grep -q '^OK' "$verdict" && [ -n "$absent" ] && "$@" -M 2> /dev/null | tr ' ' '\\n' | grep "/$absent\\$" > "$verdict.found"; then
  echo "FAILED: includes $(cat "$verdict.found")" > "$verdict"
fi
rm -f "$verdict.found"
""",
        mnemonic = "CompileTest",
        progress_message = "Compiling %s with %s" % (ctx.label, ctx.attr.compiler),
        use_default_shell_env = True,
    )

    script = ctx.actions.declare_file(ctx.label.name + ".sh")
    ctx.actions.write(
        script,
        "#!/bin/sh\ncat '{verdict}'\n{negate} grep -q '^FAILED' '{verdict}'\n".format(
            verdict = verdict.short_path,
            negate = "" if ctx.attr.must_fail else "!",
        ),
        is_executable = True,
    )
    return [DefaultInfo(executable = script, runfiles = ctx.runfiles(files = [verdict]))]

compile_test = rule(
    doc = "Passes if `compiler` accepts the files of `generated` and the headers of `includes`, and prints nothing.",
    implementation = _compile_test_impl,
    attrs = {
        "absent_header": attr.string(doc = "the name of a standard header that must not be included, not even indirectly"),
        "compiler": attr.string(mandatory = True),
        "dep": attr.label(doc = "the library of the generated files", providers = [CcInfo]),
        "must_fail": attr.bool(doc = "passes if the compiler does complain"),
        "flags": attr.string_list(),
        "generated": attr.label_list(allow_files = True),
        "includes": attr.string_list(doc = "headers of the libraries, as one includes them"),
        "std": attr.string(mandatory = True),
    },
    test = True,
)
