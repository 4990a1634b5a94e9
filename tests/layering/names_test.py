"""One name, one class: no two source files define a class of the same name in the same namespace, unless that is an
anonymous one. Nothing else would say so: the linker takes the first inline member that it meets. Takes the root of the
tree.
"""

import collections
import os
import re
import sys

CODE = re.compile(
    r"(?P<space>(?:inline\s+)?namespace\s*(?P<spaces>[\w:]*)\s*\{)"
    r"|(?:class|struct|union|enum(?:\s+class)?)\s+(?:\w+\([^)]*\)\s+)?(?P<name>\w+(?:::\w+)*)\b[^;{}()=]*\{"
    r"|(?P<open>\{)|(?P<close>\})")
NOISE = re.compile(r'//[^\n]*|/\*.*?\*/|R"\((.|\n)*?\)"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.DOTALL)


def without_templates(text):
    """The text without the parameters of templates, whose `class T` is no class."""
    parts = re.split(r"\btemplate\s*<", text)
    kept = [parts[0]]
    for part in parts[1:]:
        depth, at = 1, 0
        while depth and at < len(part):
            depth += {"<": 1, ">": -1}.get(part[at], 0)
            at += 1
        kept.append(part[at:])
    return "".join(kept)


def classes(text):
    """The classes at namespace scope that other files could define, too."""
    scopes = []  # a namespace's name, "" for an anonymous one, None for anything else
    for match in CODE.finditer(without_templates(NOISE.sub("", text))):
        if match.group("close"):
            if scopes:
                scopes.pop()
        elif match.group("space"):
            scopes.append(match.group("spaces"))
        else:
            if match.group("name") and all(scopes):
                yield "::".join(scopes + [match.group("name")])
            scopes.append(None)


def duplicates(sources):
    """Of (path, text) pairs: what is defined twice."""
    where = collections.defaultdict(set)
    for path, text in sources:
        for name in classes(text):
            where[name].add(path)
    return ["%s: %s" % (name, ", ".join(sorted(paths))) for name, paths in sorted(where.items()) if len(paths) > 1]


def self_test():
    twice = [("a.h", "namespace n::m { template <class T, class = X<T>> class C final : public B<T> { int f() {} }; }"),
             ("b.cc", "namespace n {\nnamespace m {\nstruct C {};\n}\n}")]
    once = [("a.cc", "namespace n { namespace { class C {}; } class D; struct E { class F {}; }; // class G {}\n}"),
            ("b.cc", "namespace n { namespace { class C {}; } class D {}; struct H { class F {}; }; class G {}; }")]
    wrong = [] if duplicates(twice) == ["n::m::C: a.h, b.cc"] else ["not found: %s" % duplicates(twice)]
    return wrong + ["found without reason: %s" % found for found in duplicates(once)]


def sources(root):
    for top in ("runtime", "codegen", "tools", "tests", "benchmarks"):
        for folder, _, files in os.walk(os.path.join(root, top)):
            for name in files:
                if name.endswith((".h", ".cc")):
                    path = os.path.join(folder, name)
                    with open(path, encoding="utf-8") as text:
                        yield os.path.relpath(path, root), text.read()


def main():
    found = sources(sys.argv[1])
    faults = self_test() + duplicates(found)
    for fault in faults:
        print(fault)
    sys.exit(1 if faults else 0)


main()
