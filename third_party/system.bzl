"""A repository made of links into the system's packages and of build files from this one."""

def require(ctx, path, package):
    """Stops with advice unless `path` exists; returns it as a path."""
    found = ctx.path(path)
    if not found.exists:
        fail(("@%s needs %s, which the Debian/Ubuntu package %s provides: run ./bazelw, which installs it, " +
              "or `apt-get install %s`; or declare @%s before nearcall_deps().") %
             (ctx.name, path, package, package, ctx.name))
    return found

def _system_repository_impl(ctx):
    root = ctx.attr.root
    for path, package in ctx.attr.links.items():
        ctx.symlink(require(ctx, root + "/" + path, package), path)
    for path, package in ctx.attr.needs.items():
        require(ctx, root + "/" + path, package)
    if ctx.attr.package:
        for entry in require(ctx, root, ctx.attr.package).readdir():
            ctx.symlink(entry, entry.basename)
    for label, path in ctx.attr.overlay.items():
        ctx.symlink(label, path)
        if path.endswith(".bzl"):
            ctx.file(path.rpartition("/")[0] + "/BUILD.bazel", "# A package, so that the .bzl file can be loaded.\n")

system_repository = repository_rule(
    implementation = _system_repository_impl,
    attrs = {
        "links": attr.string_dict(doc = "paths under root to link in -> the package that provides them"),
        "needs": attr.string_dict(doc = "paths under root that must exist -> the package that provides them"),
        "overlay": attr.label_keyed_string_dict(allow_files = True, doc = "files to link in -> where"),
        "package": attr.string(doc = "the package that provides root; set, it links in all that root holds"),
        "root": attr.string(default = "/usr"),
    },
    local = True,  # look again whenever Bazel starts: packages come and go without telling it
)
